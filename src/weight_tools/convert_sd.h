// SD 1.x/2.x checkpoints between the LDM layout (one file) and Diffusers' (a folder), in any direction.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "weight_tools/checkpoint_output.h"

namespace difftune {

struct ConvertSdRequest {
  fs::path input;                     // a checkpoint file or a Diffusers folder
  std::string variant;                // of the folder's files, e.g. "fp16"
  bool is_v1 = false, is_v2 = false;  // what the user says of the model; neither: it is looked up
  // Of the tensors that are converted; nothing: fp32, as the reference saves them.
  std::optional<c10::ScalarType> save_dtype;
  bool is_loaded_as_fp16 = false;  // a Diffusers folder, so that a folder made of it is fp16 too
  // A Diffusers folder of SD 2.x has matrices as proj_in and proj_out, as Stability AI's; else 1x1 convolutions.
  bool uses_linear_projection = false;
  int64_t epoch = 0, global_step = 0;  // added to those of a .ckpt that is converted into one
};

// One file in the LDM layout. A checkpoint file keeps what else it holds; out of a folder of SD 2.x, what Diffusers
// leaves out is made up as the reference does: the last layer of the text encoder from the one before,
// text_projection of ones, logit_scale 1.
struct SdFilePlan {
  bool is_v2 = false;
  std::vector<TensorRecipe> recipes;
  std::map<std::string, int64_t> beside;  // epoch and global_step, for .ckpt
};
SdFilePlan plan_sd_file(const ConvertSdRequest& request);

struct SdFolderPlan {
  bool is_v2 = false;
  struct Component {
    std::string folder;  // "unet"
    std::string file;    // the name of the weights without extension
    std::vector<TensorRecipe> recipes;
  };
  std::vector<Component> components;
  std::vector<std::pair<std::string, std::string>> files;  // the others, by path
};
// `reference_model`: a Diffusers folder whose scheduler and tokenizer are taken; nothing: those of SD 1.5 or 2.1.
SdFolderPlan plan_sd_folder(const ConvertSdRequest& request, const std::optional<fs::path>& reference_model);

// Writes the folder, in the place of a Diffusers folder that is there already.
void write_sd_folder(const fs::path& path, const SdFolderPlan& plan, bool as_safetensors);

}  // namespace difftune
