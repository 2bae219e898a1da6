// The adapter that is trained.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "options/number.h"

namespace difftune {

class OptionTable;

struct NetworkOptions {
  std::string network_module;
  std::optional<int64_t> network_dim;
  Number network_alpha = 1;
  std::optional<Number> network_dropout;
  std::vector<std::string> network_args;
  std::optional<Number> unet_lr;
  std::vector<double> text_encoder_lr;
  bool network_train_unet_only = false;
  bool network_train_text_encoder_only = false;
  std::optional<std::string> network_weights;
  bool dim_from_weights = false;
  std::optional<Number> scale_weight_norms;
  std::vector<std::string> base_weights;
  std::vector<double> base_weights_multiplier;
};

void describe(NetworkOptions& options, OptionTable& table);

}  // namespace difftune
