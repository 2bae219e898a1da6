// Where the modules of a LoRA file go in a checkpoint: names only, decided by the tensors that the checkpoint has.
//
// A module is looked up under any spelling that files in the wild have:
//   sd-scripts, ComfyUI   lora_unet_down_blocks_0_…, lora_unet_double_blocks_0_img_attn_qkv, lora_te1_…, lycoris_…
//   Diffusers and PEFT    unet.down_blocks.0.…, transformer.transformer_blocks.0.attn.to_q, text_encoder_2.…
//   BFL and SAI           diffusion_model.double_blocks.0.…
// Text encoders: te is that of SD 1.x/2.x; te1, te2 and te3 are CLIP-L, CLIP-G and T5, as sd-scripts numbers them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "weights/tensor_source.h"

namespace difftune {

// Some rows of a checkpoint's weight [out, in] or [out, in, k, k].
struct LoraTarget {
  std::string module;  // sd-scripts' name of the module
  std::string key;     // of the checkpoint's tensor
  int64_t first_row = 0, num_rows = 0;
};

class LoraTargets {
 public:
  explicit LoraTargets(const TensorSource& checkpoint);
  LoraTargets(const LoraTargets&) = delete;  // by_name_ points into the lists
  LoraTargets& operator=(const LoraTargets&) = delete;

  // The place of a module, or nullptr where the checkpoint has none for it.
  const LoraTarget* find(std::string_view module) const;
  // Every weight that a LoRA may sit on, under sd-scripts' names, in the checkpoint's order.
  const std::vector<LoraTarget>& all() const { return targets_; }

 private:
  class Builder;
  std::vector<LoraTarget> targets_;
  std::vector<LoraTarget> parts_;  // of fused weights, under Diffusers' names
  std::unordered_map<std::string, const LoraTarget*> by_name_;
};

// A module's name as sd-scripts would spell it: prefixes "unet.", "transformer.", "diffusion_model.",
// "text_encoder_2." … become lora_unet_ and lora_te2_, dots become underscores. Block names stay as they are.
std::string sd_scripts_module_name(std::string_view module);

// The model that a LoRA is for, judged by the names of its modules, e.g. "Stable Diffusion XL", or "" where they do not
// tell. SD 1.x, SD 2.x and SDXL share the names of Diffusers' blocks.
std::string_view lora_family_name(const std::vector<std::string>& modules);

}  // namespace difftune
