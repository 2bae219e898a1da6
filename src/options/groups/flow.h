// How flow models are trained: which timesteps, what their output means, how the loss is weighed.
#pragma once

#include <string>
#include <vector>

#include "options/number.h"

namespace difftune {

class OptionTable;

// The defaults are those of FLUX.
struct FlowOptions {
  std::string weighting_scheme = "uniform";
  Number logit_mean = 0.0;
  Number logit_std = 1.0;
  Number mode_scale = 1.29;
  std::string timestep_sampling = "sigma";
  Number sigmoid_scale = 1.0;
  std::string model_prediction_type = "sigma_scaled";
  Number discrete_flow_shift = 3.0;
  Number training_shift = 1.0;
};

// --weighting_scheme and what belongs to it, which all flow models have.
void describe_weighting(FlowOptions& options, OptionTable& table);
// --timestep_sampling with these choices, and what belongs to it: FLUX and Lumina.
void describe_sampling(FlowOptions& options, OptionTable& table, std::vector<std::string> samplings);
// --training_shift: SD3.
void describe_training_shift(FlowOptions& options, OptionTable& table);

}  // namespace difftune
