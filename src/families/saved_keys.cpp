#include "families/saved_keys.h"

#include <fmt/format.h>

#include <array>

#include "families/family_identity.h"

namespace difftune {
namespace {

constexpr std::string_view kClip = "cond_stage_model.transformer.", kOpenClip = "cond_stage_model.model.";
constexpr std::array<std::string_view, 4> kSdxlParts = {"model.diffusion_model.", "first_stage_model.",
                                                        "conditioner.embedders.0.transformer.",
                                                        "conditioner.embedders.1.model."};

// "cond_stage_model.transformer.encoder…" lacks a level in some files.
std::string usual_spelling(const std::string& key) {
  if (!key.starts_with(kClip)) return key;
  const std::string_view rest = std::string_view(key).substr(kClip.size());
  for (const char* part : {"embeddings.", "encoder.", "final_layer_norm."}) {
    if (rest.starts_with(part)) return fmt::format("{}text_model.{}", kClip, rest);
  }
  return key;
}

}  // namespace

SavedKeys::SavedKeys(const TensorSource& checkpoint) {
  const auto identity = identify_checkpoint(checkpoint);
  if (!identity || !checkpoint.contains("model.diffusion_model.input_blocks.0.0.weight")) return;
  layout_ = checkpoint.contains("model.diffusion_model.label_emb.0.0.weight") ? Layout::sdxl : Layout::sd;
  for (int layer = 0;; ++layer) {
    const std::string prefix = fmt::format("{}transformer.resblocks.{}.", kOpenClip, layer);
    if (!checkpoint.contains(prefix + "ln_1.weight")) break;
    unused_text_layer_ = prefix;
  }
}

SavedKey SavedKeys::operator()(const std::string& key) const {
  using enum SavedKey::How;
  const bool is_position_ids = key.ends_with("position_ids");
  switch (layout_) {
    case Layout::other:
      return {converted, key};
    case Layout::sdxl:
      for (const std::string_view part : kSdxlParts) {
        if (key.starts_with(part) && !is_position_ids) return {converted, key};
      }
      return {left_out, key};
    case Layout::sd: {
      if (is_position_ids || key.starts_with("first_stage_model.loss.")) return {as_stored, usual_spelling(key)};
      if (key.starts_with("model.diffusion_model.") || key.starts_with("first_stage_model.")) return {converted, key};
      if (key.starts_with(kClip)) return {converted, usual_spelling(key)};
      const bool is_unused = (!unused_text_layer_.empty() && key.starts_with(unused_text_layer_)) ||
                             key.ends_with("text_projection") || key.ends_with("logit_scale");
      return {key.starts_with(kOpenClip) && !is_unused ? converted : as_stored, key};
    }
  }
  return {converted, key};
}

}  // namespace difftune
