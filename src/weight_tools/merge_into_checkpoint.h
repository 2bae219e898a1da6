// Adapters merged into the weights of checkpoints.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "families/lora_targets.h"
#include "weight_tools/adapter_change.h"
#include "weight_tools/adapter_file.h"
#include "weight_tools/block_weights.h"
#include "weight_tools/checkpoint_output.h"

namespace difftune {

// An adapter file and how strongly it is merged.
struct MergeInput {
  std::shared_ptr<const AdapterFile> file;
  double ratio = 1;
  const BlockWeights* block_weights = nullptr;
};

struct MergeRules {
  c10::ScalarType precision = c10::ScalarType::Float;  // of the sums
  bool block_names_of_sdxl = false;                    // for block weights
  // Only modules that sd-scripts' first LoRAs could have: linear layers and 1x1 convolutions of attention.
  bool attention_only = false;
  // OFT is merged with its full strength whatever ratio and block weights say.
  bool oft_ignores_strength = false;
};

// What goes where, worked out and checked before anything is written.
class CheckpointMerge {
 public:
  // `checkpoints` share the modules of the files: the parts of one model, such as FLUX.1's transformer, CLIP-L and T5.
  // Throws UserError where a module does not fit its weight, or where nothing of a file finds a place.
  CheckpointMerge(std::vector<std::shared_ptr<const TensorSource>> checkpoints, std::vector<MergeInput> inputs,
                  const MergeRules& rules);

  // The tensor `key` of a checkpoint with everything merged that belongs there, in `dtype` (integers keep theirs).
  // Undefined where something is merged and the result is not finite.
  at::Tensor tensor(size_t checkpoint, const std::string& key, c10::ScalarType dtype) const;

  // All tensors of a checkpoint as they are written in `dtype`, under the names that they are saved by. The merge must
  // outlive them.
  std::vector<TensorRecipe> recipes(size_t checkpoint, c10::ScalarType dtype) const;

  struct FileReport {
    size_t num_matched = 0;
    std::vector<std::string> unmatched;  // modules that no checkpoint has a place for
  };
  const std::vector<FileReport>& reports() const { return reports_; }
  size_t num_changed_tensors(size_t checkpoint) const { return changes_[checkpoint].size(); }

 private:
  struct Change {
    const AdapterFile* file;
    const AdapterModule* module;
    int64_t first_row, num_rows;
    double ratio, block_factor;
  };
  void plan(const MergeInput& input, const std::vector<std::unique_ptr<LoraTargets>>& targets);
  at::Tensor changed(const at::Tensor& stored, const std::vector<Change>& changes, c10::ScalarType dtype) const;

  std::vector<std::shared_ptr<const TensorSource>> checkpoints_;
  std::vector<MergeInput> inputs_;
  MergeRules rules_;
  std::vector<std::unordered_map<std::string, std::vector<Change>>> changes_;  // by checkpoint and key
  std::vector<FileReport> reports_;
};

}  // namespace difftune
