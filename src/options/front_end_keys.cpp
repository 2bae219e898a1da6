#include "options/front_end_keys.h"

namespace difftune {
namespace {

constexpr FrontEndKey kKeys[] = {
    // kohya_ss
    {"epoch", ""},
    {"noise_offset_type", ""},
    {"lowvram", ""},
    {"stop_text_encoder_training", "the text encoder is trained to the end; network_train_unet_only leaves it alone"},
    {"loraplus_lr_ratio", "write it into network_args"},
    {"loraplus_unet_lr_ratio", "write it into network_args"},
    {"loraplus_text_encoder_lr_ratio", "write it into network_args"},
    // lora-scripts
    {"model_train_type", ""},
    {"gpu_ids", ""},
    {"lr_restart_cycles", "the option is lr_scheduler_num_cycles"},
    {"enable_preview", ""},
    {"prompt_file", "the option is sample_prompts"},
    {"positive_prompts", "prompts are read from the file of sample_prompts"},
    {"negative_prompts", "prompts are read from the file of sample_prompts"},
    {"sample_width", "prompts are read from the file of sample_prompts"},
    {"sample_height", "prompts are read from the file of sample_prompts"},
    {"sample_cfg", "prompts are read from the file of sample_prompts"},
    {"sample_seed", "prompts are read from the file of sample_prompts"},
    {"sample_steps", "prompts are read from the file of sample_prompts"},
    {"randomly_choice_prompt", ""},
    {"random_prompt_include_subdir", ""},
    {"enable_base_weight", ""},
    {"enable_block_weights", ""},
    {"enable_debug_options", ""},
    {"network_args_custom", "write them into network_args"},
    {"optimizer_args_custom", "write them into optimizer_args"},
    {"ui_custom_params", ""},
};

}  // namespace

const FrontEndKey* find_front_end_key(std::string_view key) {
  for (const FrontEndKey& entry : kKeys) {
    if (entry.key == key) return &entry;
  }
  return nullptr;
}

}  // namespace difftune
