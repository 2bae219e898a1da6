#include "families/sd/sd_name_map.h"

#include <fmt/format.h>

namespace difftune {
namespace {

// Residual block of the U-Net.
NameMap resnet() {
  NameMap map;
  map.rule("norm1.*", "in_layers.0.*");
  map.rule("conv1.*", "in_layers.2.*");
  map.rule("time_emb_proj.*", "emb_layers.1.*");
  map.rule("norm2.*", "out_layers.0.*");
  map.rule("conv2.*", "out_layers.3.*");
  map.rule("conv_shortcut.*", "skip_connection.*");
  return map;
}

NameMap transformer(bool has_matrix_projections) {
  NameMap map;
  if (has_matrix_projections) {
    for (const char* name : {"proj_in.weight", "proj_out.weight"}) map.rule(name, name, Transform::unsqueeze_1x1());
  }
  map.rule("*", "*");
  return map;
}

// Residual block of the VAE.
NameMap vae_resnet() {
  NameMap map;
  for (const char* name : {"norm1.*", "conv1.*", "norm2.*", "conv2.*"}) map.rule(name, name);
  map.rule("conv_shortcut.*", "nin_shortcut.*");
  return map;
}

struct Projection {
  const char *model, *ldm, *old_diffusers;
};
constexpr Projection kVaeProjections[] = {
    {"to_q", "q", "query"}, {"to_k", "k", "key"}, {"to_v", "v", "value"}, {"to_out.0", "proj_out", "proj_attn"}};

NameMap vae_attention() {
  NameMap map;
  map.rule("group_norm.*", "norm.*");
  for (const Projection& p : kVaeProjections) {
    map.rule(fmt::format("{}.weight", p.model), fmt::format("{}.weight", p.ldm), Transform::squeeze_1x1());
    map.rule(fmt::format("{}.bias", p.model), fmt::format("{}.bias", p.ldm));
  }
  return map;
}

NameMap vae_middle() {
  NameMap map;
  map.nest("resnets.0.", "block_1.", vae_resnet());
  map.nest("attentions.0.", "attn_1.", vae_attention());
  map.nest("resnets.1.", "block_2.", vae_resnet());
  return map;
}

}  // namespace

NameMap sd_unet_name_map(const UNetLayout& layout, const std::string& checkpoint_prefix) {
  NameMap map(checkpoint_prefix);
  const NameMap attention = transformer(layout.has_matrix_projections);
  map.rule("time_embedding.linear_1.*", "time_embed.0.*");
  map.rule("time_embedding.linear_2.*", "time_embed.2.*");
  map.rule("add_embedding.linear_1.*", "label_emb.0.0.*");  // SDXL
  map.rule("add_embedding.linear_2.*", "label_emb.0.2.*");
  map.rule("conv_in.*", "input_blocks.0.0.*");

  const int num_levels = static_cast<int>(layout.level_has_attention.size());
  // LDM numbers the blocks of all levels through; conv_in is input block 0.
  int block = 1;
  for (int level = 0; level < num_levels; ++level) {
    const std::string down = fmt::format("down_blocks.{}.", level);
    for (int layer = 0; layer < layout.layers_per_block; ++layer, ++block) {
      map.nest(fmt::format("{}resnets.{}.", down, layer), fmt::format("input_blocks.{}.0.", block), resnet());
      if (layout.level_has_attention[level]) {
        map.nest(fmt::format("{}attentions.{}.", down, layer), fmt::format("input_blocks.{}.1.", block), attention);
      }
    }
    if (level + 1 < num_levels) {
      map.rule(down + "downsamplers.0.conv.*", fmt::format("input_blocks.{}.0.op.*", block++));
    }
  }

  map.nest("mid_block.resnets.0.", "middle_block.0.", resnet());
  map.nest("mid_block.attentions.0.", "middle_block.1.", attention);
  map.nest("mid_block.resnets.1.", "middle_block.2.", resnet());

  block = 0;
  for (int level = num_levels - 1; level >= 0; --level) {
    const std::string up = fmt::format("up_blocks.{}.", num_levels - 1 - level);
    const bool has_attention = layout.level_has_attention[level];
    for (int layer = 0; layer <= layout.layers_per_block; ++layer, ++block) {
      map.nest(fmt::format("{}resnets.{}.", up, layer), fmt::format("output_blocks.{}.0.", block), resnet());
      if (has_attention) {
        map.nest(fmt::format("{}attentions.{}.", up, layer), fmt::format("output_blocks.{}.1.", block), attention);
      }
    }
    if (level > 0) {  // the upsampler is the last module of the level's last block
      map.rule(up + "upsamplers.0.conv.*", fmt::format("output_blocks.{}.{}.conv.*", block - 1, has_attention ? 2 : 1));
    }
  }
  map.rule("conv_norm_out.*", "out.0.*");
  map.rule("conv_out.*", "out.2.*");
  return map;
}

NameMap sd_vae_name_map(int num_levels, const std::string& checkpoint_prefix) {
  NameMap map(checkpoint_prefix);
  for (const std::string side : {"encoder.", "decoder."}) {
    map.rule(side + "conv_in.*", side + "conv_in.*");
    map.nest(side + "mid_block.", side + "mid.", vae_middle());
    map.rule(side + "conv_norm_out.*", side + "norm_out.*");
    map.rule(side + "conv_out.*", side + "conv_out.*");
  }
  map.nest("encoder.down_blocks.{}.resnets.{}.", "encoder.down.{}.block.{}.", vae_resnet());
  map.rule("encoder.down_blocks.{}.downsamplers.0.conv.*", "encoder.down.{}.downsample.conv.*");
  for (int level = 0; level < num_levels; ++level) {  // LDM numbers the decoder's levels from the highest resolution
    const std::string up = fmt::format("decoder.up_blocks.{}.", num_levels - 1 - level);
    const std::string ldm_up = fmt::format("decoder.up.{}.", level);
    map.nest(up + "resnets.{}.", ldm_up + "block.{}.", vae_resnet());
    map.rule(up + "upsamplers.0.conv.*", ldm_up + "upsample.conv.*");
  }
  map.rule("quant_conv.*", "quant_conv.*");
  map.rule("post_quant_conv.*", "post_quant_conv.*");
  map.ignore("loss.*");  // the discriminator that some VAEs were published with
  map.ignore("model_ema.*");
  return map;
}

NameMap diffusers_vae_name_map(const std::string& checkpoint_prefix) {
  NameMap map(checkpoint_prefix);
  for (const std::string attention : {"encoder.mid_block.attentions.0.", "decoder.mid_block.attentions.0."}) {
    for (const Projection& p : kVaeProjections) {
      for (const char* kind : {".weight", ".bias"}) {
        const Transform transform = std::string(kind) == ".weight" ? Transform::squeeze_1x1() : Transform{};
        map.alias(attention + p.model + kind, attention + p.old_diffusers + kind, transform);
      }
    }
  }
  map.rule("*", "*");
  return map;
}

NameMap clip_l_name_map(const std::string& checkpoint_prefix) {
  NameMap map(checkpoint_prefix);
  map.ignore("text_model.embeddings.position_ids");
  map.ignore("embeddings.position_ids");
  map.rule("text_model.*", "text_model.*");
  map.rule("text_projection.*", "text_projection.*");
  for (const std::string part : {"embeddings.*", "encoder.*", "final_layer_norm.*"}) {
    map.alias("text_model." + part, part);
  }
  return map;
}

NameMap open_clip_name_map(int num_layers, const std::string& checkpoint_prefix, bool has_projection,
                           bool transposes_projection) {
  NameMap map(checkpoint_prefix);
  map.rule("text_model.embeddings.token_embedding.weight", "token_embedding.weight");
  map.rule("text_model.embeddings.position_embedding.weight", "positional_embedding");
  for (int layer = 0; layer < num_layers; ++layer) {
    const std::string model = fmt::format("text_model.encoder.layers.{}.", layer);
    const std::string checkpoint = fmt::format("transformer.resblocks.{}.", layer);
    map.rule(model + "layer_norm1.*", checkpoint + "ln_1.*");
    map.rule(model + "layer_norm2.*", checkpoint + "ln_2.*");
    map.rule(model + "mlp.fc1.*", checkpoint + "mlp.c_fc.*");
    map.rule(model + "mlp.fc2.*", checkpoint + "mlp.c_proj.*");
    map.rule(model + "self_attn.out_proj.*", checkpoint + "attn.out_proj.*");
    int part = 0;
    for (const std::string name : {"self_attn.q_proj.", "self_attn.k_proj.", "self_attn.v_proj."}) {
      map.rule(model + name + "weight", checkpoint + "attn.in_proj_weight", Transform::rows(part, 3));
      map.rule(model + name + "bias", checkpoint + "attn.in_proj_bias", Transform::rows(part++, 3));
    }
  }
  map.rule("text_model.final_layer_norm.*", "ln_final.*");
  map.ignore("transformer.resblocks.{}.*");                      // the layers above, as those below have rules already
  map.ignore("transformer.text_model.embeddings.position_ids");  // in Waifu Diffusion 1.4
  const Transform projection = transposes_projection ? Transform::transpose() : Transform{};
  if (has_projection) map.rule("text_projection.weight", "text_projection", projection);
  map.ignore("text_projection");
  map.ignore("logit_scale");
  return map;
}

}  // namespace difftune
