// Names of the modules that sit on a model's layers.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "adapters/adapter.h"
#include "models/clip_text.h"
#include "models/t5_encoder.h"

namespace difftune {

// "lora_unet" and "double_blocks.0.img_attn.qkv" → "lora_unet_double_blocks_0_img_attn_qkv".
std::string target_name(std::string_view prefix, std::string_view path);

// The parts of a path between its dots.
std::vector<std::string> split_path(std::string_view path);

// Layers of CLIP, "lora_te1_text_model_encoder_layers_0_self_attn_k_proj", in their order.
void add_clip_targets(const ClipText& encoder, int component, std::vector<AdapterTarget>& targets);

// Layers of T5, "lora_te3_encoder_block_0_layer_0_SelfAttention_q" whatever the component; with train_t5xxl only.
void add_t5_targets(const T5Encoder& encoder, int component, std::vector<AdapterTarget>& targets);

}  // namespace difftune
