#include "families/flux/flux_name_map.h"

#include <fmt/format.h>

namespace difftune {
namespace {

struct Scale {
  const char *bfl, *diffusers;
};
constexpr Scale kNorms[] = {
    {"double_blocks.{}.img_attn.norm.query_norm", "transformer_blocks.{}.attn.norm_q"},
    {"double_blocks.{}.img_attn.norm.key_norm", "transformer_blocks.{}.attn.norm_k"},
    {"double_blocks.{}.txt_attn.norm.query_norm", "transformer_blocks.{}.attn.norm_added_q"},
    {"double_blocks.{}.txt_attn.norm.key_norm", "transformer_blocks.{}.attn.norm_added_k"},
    {"single_blocks.{}.norm.query_norm", "single_transformer_blocks.{}.attn.norm_q"},
    {"single_blocks.{}.norm.key_norm", "single_transformer_blocks.{}.attn.norm_k"},
};

std::vector<FluxLinear> make_linears() {
  std::vector<FluxLinear> linears = {
      {"img_in", {{"x_embedder"}}},
      {"txt_in", {{"context_embedder"}}},
      {"final_layer.linear", {{"proj_out"}}},
      {"final_layer.adaLN_modulation.1", {{"norm_out.linear"}}, true},

      {"double_blocks.{}.img_mod.lin", {{"transformer_blocks.{}.norm1.linear"}}},
      {"double_blocks.{}.img_attn.qkv",
       {{"transformer_blocks.{}.attn.to_q"}, {"transformer_blocks.{}.attn.to_k"}, {"transformer_blocks.{}.attn.to_v"}}},
      {"double_blocks.{}.img_attn.proj", {{"transformer_blocks.{}.attn.to_out.0"}}},
      {"double_blocks.{}.img_mlp.0", {{"transformer_blocks.{}.ff.net.0.proj"}}},
      {"double_blocks.{}.img_mlp.2", {{"transformer_blocks.{}.ff.net.2"}}},

      {"double_blocks.{}.txt_mod.lin", {{"transformer_blocks.{}.norm1_context.linear"}}},
      {"double_blocks.{}.txt_attn.qkv",
       {{"transformer_blocks.{}.attn.add_q_proj"},
        {"transformer_blocks.{}.attn.add_k_proj"},
        {"transformer_blocks.{}.attn.add_v_proj"}}},
      {"double_blocks.{}.txt_attn.proj", {{"transformer_blocks.{}.attn.to_add_out"}}},
      {"double_blocks.{}.txt_mlp.0", {{"transformer_blocks.{}.ff_context.net.0.proj"}}},
      {"double_blocks.{}.txt_mlp.2", {{"transformer_blocks.{}.ff_context.net.2"}}},

      {"single_blocks.{}.modulation.lin", {{"single_transformer_blocks.{}.norm.linear"}}},
      {"single_blocks.{}.linear1",
       {{"single_transformer_blocks.{}.attn.to_q"},
        {"single_transformer_blocks.{}.attn.to_k"},
        {"single_transformer_blocks.{}.attn.to_v"},
        {"single_transformer_blocks.{}.proj_mlp", 4}}},
      {"single_blocks.{}.linear2", {{"single_transformer_blocks.{}.proj_out"}}},
  };
  struct Embedder {
    const char *bfl_in, *bfl_out, *diffusers_in, *diffusers_out;
  };
  constexpr Embedder kEmbedders[] = {
      {"time_in.in_layer", "time_in.out_layer", "time_text_embed.timestep_embedder.linear_1",
       "time_text_embed.timestep_embedder.linear_2"},
      {"vector_in.in_layer", "vector_in.out_layer", "time_text_embed.text_embedder.linear_1",
       "time_text_embed.text_embedder.linear_2"},
      {"guidance_in.in_layer", "guidance_in.out_layer", "time_text_embed.guidance_embedder.linear_1",
       "time_text_embed.guidance_embedder.linear_2"},
  };
  for (const Embedder& e : kEmbedders) {
    linears.push_back({e.bfl_in, {{e.diffusers_in}}});
    linears.push_back({e.bfl_out, {{e.diffusers_out}}});
  }
  return linears;
}

}  // namespace

int FluxLinear::num_parts() const {
  int sum = 0;
  for (const Part& part : parts) sum += part.span;
  return sum;
}

std::span<const FluxLinear> flux_linears() {
  static const std::vector<FluxLinear> linears = make_linears();
  return linears;
}

NameMap flux_diffusers_name_map(const std::string& diffusers_prefix, const std::string& bfl_prefix) {
  NameMap map(bfl_prefix);
  for (const FluxLinear& linear : flux_linears()) {
    int first = 0;
    for (const FluxLinear::Part& part : linear.parts) {
      const Transform transform = linear.has_swapped_halves  ? Transform::swap_halves()
                                  : linear.parts.size() == 1 ? Transform{}
                                                             : Transform::rows(first, linear.num_parts(), part.span);
      for (const char* kind : {"weight", "bias"}) {
        map.rule(fmt::format("{}{}.{}", diffusers_prefix, part.diffusers, kind), fmt::format("{}.{}", linear.bfl, kind),
                 transform);
      }
      first += part.span;
    }
  }
  for (const Scale& norm : kNorms) {
    map.rule(fmt::format("{}{}.weight", diffusers_prefix, norm.diffusers), fmt::format("{}.scale", norm.bfl));
  }
  return map;
}

}  // namespace difftune
