// Which model a file holds, found from its tensors, and the family that runs it.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "families/model_family.h"
#include "weights/tensor_source.h"

namespace difftune {

struct FamilyRow {
  std::string_view name;           // for people: "Stable Diffusion XL"
  std::string_view train_command;  // the command that trains a LoRA for it
  bool (*matches)(const TensorSource& checkpoint);
  // Null: the family is recognised and not available yet.
  std::unique_ptr<ModelFamily> (*make)(std::shared_ptr<const TensorSource> checkpoint, const ModelRequest& request);
};

// The rows, more specific ones first.
const std::vector<FamilyRow>& family_table();

// Opens `request.checkpoint` and makes the family that fits. `command` is the one that was called; `is_v2` what the
// user said. Throws UserError where the file is something else, naming what it is and the command that fits.
std::unique_ptr<ModelFamily> open_model(const ModelRequest& request, std::string_view command, bool is_v2);

}  // namespace difftune
