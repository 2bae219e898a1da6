// What merge_lora, sdxl_merge_lora, merge_lora_old and flux_merge_lora share: adapters into checkpoints, or into one
// another.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "families/family_identity.h"
#include "options/tools/merge_lora_options.h"
#include "weight_tools/combine_loras.h"

namespace difftune {

// Opens the files of --models with their ratios. Throws UsageError where the numbers of files and ratios differ.
std::vector<MergeInput> open_merge_inputs(const std::vector<std::string>& models, const std::vector<double>& ratios);

// A checkpoint that the files are merged into.
struct MergeOutput {
  std::string option, file;          // where it comes from
  std::string save_option, save_to;  // where it goes
  bool has_metadata = true;
  bool has_training_counts = false;  // a .ckpt of Stable Diffusion says how long it was trained
};

struct CheckpointMergeRequest {
  std::vector<MergeOutput> outputs;
  std::vector<MergeInput> inputs;
  MergeRules rules;
  c10::ScalarType save_dtype = c10::ScalarType::Float;
  bool dry_run = false;
};
// Merges, writes and reports; returns the exit code.
int merge_into_checkpoints(const CheckpointMergeRequest& request);

struct LoraMergeRequest {
  std::string save_to;
  std::vector<MergeInput> inputs;
  Combination combination = Combination::add;
  MergeRules rules;
  c10::ScalarType save_dtype = c10::ScalarType::Float;
  bool shuffle = false;
  bool has_metadata = true;  // any at all
  bool has_model_spec = true;
  // The model of the LoRAs; without it, SD 1.x or 2.x as the metadata say.
  std::optional<FamilyIdentity> identity;
  std::optional<std::string> v2;  // ss_v2, where it is not that of the files
  bool dry_run = false;
};
int merge_loras(const LoraMergeRequest& request);

// Which of the three commands runs.
enum class MergeCommand { merge_lora, sdxl_merge_lora, merge_lora_old };
int run_merge(const MergeLoraOptions& options, MergeCommand command);

}  // namespace difftune
