// What the metadata of a file call the model it is for.
#pragma once

#include <optional>
#include <string_view>

#include "weights/tensor_source.h"

namespace difftune {

struct FamilyIdentity {
  std::string_view name;          // of the row in family_table.h
  std::string_view architecture;  // modelspec.architecture of a checkpoint; a LoRA's ends in "/lora"
  std::string_view checkpoint_implementation, lora_implementation;
  int resolution_px = 512;
  std::string_view prediction_type;     // "" where the model predicts a velocity of a flow
  std::string_view base_model_version;  // ss_base_model_version
  std::string_view network_module = "networks.lora";
};

// The identity of a checkpoint, or of a file that says nothing (a text encoder alone) nullopt.
std::optional<FamilyIdentity> identify_checkpoint(const TensorSource& checkpoint);
// By the name of a row in family_table.h or one of lora_family_name(); nullopt where there is none of it.
std::optional<FamilyIdentity> family_identity(std::string_view name);
// SD 1.x, or 2.x: with `predicts_velocity` the name that the reference gives to a model of v-prediction.
FamilyIdentity sd_identity(bool is_v2, bool predicts_velocity);

}  // namespace difftune
