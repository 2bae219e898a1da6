// Which model a file holds, found from its tensors, and the family that runs it.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "families/model_family.h"
#include "weights/tensor_source.h"

namespace difftune {

struct FamilyRow {
  std::string_view name;               // for people: "Stable Diffusion XL"
  std::string_view train_command;      // the command that trains a LoRA for it
  std::string_view inference_command;  // the one that makes pictures with it; "": none
  bool (*matches)(const TensorSource& checkpoint);
  // Null: the family is recognised and not available yet.
  std::unique_ptr<ModelFamily> (*make)(std::shared_ptr<const TensorSource> checkpoint, const ModelRequest& request);
};

// The rows, more specific ones first.
const std::vector<FamilyRow>& family_table();

// A checkpoint and what it is.
struct RecognisedModel {
  std::shared_ptr<const TensorSource> checkpoint;
  const FamilyRow* row;
};

// Opens `checkpoint` and finds its row. `option` is the one that named it. Throws UserError where there is nothing or
// the file is no model of a known family.
RecognisedModel recognise_model(const fs::path& checkpoint,
                                std::string_view option = "--pretrained_model_name_or_path");

// Throws UserError where a LoRA's modules are named as those of another family's than the model's.
void require_lora_for(const TensorSource& lora, const RecognisedModel& model);

// Opens `request.checkpoint` and makes the family that fits. `command` is the one that was called and must be one of
// the family's; `is_v2` what the user said. Throws UserError where the file is something else, naming what it is and
// the command that fits.
std::unique_ptr<ModelFamily> open_model(const ModelRequest& request, std::string_view command, bool is_v2,
                                        std::string_view option = "--pretrained_model_name_or_path");

}  // namespace difftune
