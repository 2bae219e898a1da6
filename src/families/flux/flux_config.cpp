#include "families/flux/flux_config.h"

#include "base/error.h"
#include "families/checkpoint_shapes.h"

namespace difftune {
namespace {

constexpr const char* kFirstBlock = "double_blocks.0.img_attn.qkv.weight";
constexpr const char* kGuidanceLayer = "distilled_guidance_layer.";

// What the blocks of both models show.
FluxConfig read_blocks(const TensorSource& s, const std::string& prefix) {
  FluxConfig config;
  const std::string first = prefix + "double_blocks.0.";
  config.in_channels = size_of(s, prefix + "img_in.weight", 1);
  config.hidden_size = size_of(s, prefix + "img_in.weight", 0);
  config.context_size = size_of(s, prefix + "txt_in.weight", 1);
  config.mlp_size = size_of(s, first + "img_mlp.0.weight", 0);
  const int64_t head = size_of(s, first + "img_attn.norm.query_norm.scale", 0);
  if (config.hidden_size % head != 0 || head % 4 != 0) {
    fail("{}: {} features do not fall into attention heads of {}", s.path().string(), config.hidden_size, head);
  }
  config.num_heads = config.hidden_size / head;
  config.num_double_blocks = count_numbered(s, prefix + "double_blocks.");
  config.num_single_blocks = count_numbered(s, prefix + "single_blocks.");
  return config;
}

}  // namespace

std::string flux_prefix(const TensorSource& s) {
  const std::string prefix = "model.diffusion_model.";
  return s.contains(prefix + kFirstBlock) ? prefix : "";
}

bool is_chroma(const TensorSource& s) {
  const std::string prefix = flux_prefix(s);
  return s.contains(prefix + kFirstBlock) && has_prefix(s, prefix + kGuidanceLayer);
}

std::optional<std::string> flux_diffusers_prefix(const TensorSource& s) {
  for (const std::string prefix : {"", "transformer."}) {
    if (s.contains(prefix + "single_transformer_blocks.0.attn.to_q.weight")) return prefix;
  }
  return std::nullopt;
}

bool is_flux(const TensorSource& s) {
  return flux_diffusers_prefix(s) || (s.contains(flux_prefix(s) + kFirstBlock) && !is_chroma(s));
}

FluxConfig read_flux_config(const TensorSource& s, const std::string& prefix) {
  FluxConfig config = read_blocks(s, prefix);
  config.vector_size = size_of(s, prefix + "vector_in.in_layer.weight", 1);
  config.has_guidance = s.contains(prefix + "guidance_in.in_layer.weight");
  return config;
}

ChromaConfig read_chroma_config(const TensorSource& s, const std::string& prefix) {
  const std::string layer = prefix + kGuidanceLayer;
  ChromaConfig config;
  config.blocks = read_blocks(s, prefix);
  config.approximator_in = size_of(s, layer + "in_proj.weight", 1);
  config.approximator_size = size_of(s, layer + "in_proj.weight", 0);
  config.approximator_depth = count_numbered(s, layer + "layers.");
  return config;
}

}  // namespace difftune
