#include "options/groups/flow.h"

#include "options/option_table.h"

namespace difftune {

void describe_weighting(FlowOptions& options, OptionTable& table) {
  table.group("Flow matching");
  table.add("weighting_scheme", &options.weighting_scheme,
            "Density of the timesteps (logit_normal, mode; where they are drawn by it) or weight of the loss "
            "(sigma_sqrt, cosmap).",
            {.choices = {"sigma_sqrt", "logit_normal", "mode", "cosmap", "none", "uniform"}});
  table.add("logit_mean", &options.logit_mean, "Mean of logit_normal; above 0 for more noise.");
  table.add("logit_std", &options.logit_std, "Standard deviation of logit_normal.");
  table.add("mode_scale", &options.mode_scale, "How much the mode density prefers the middle of the timesteps.");
}

void describe_sampling(FlowOptions& options, OptionTable& table, std::vector<std::string> samplings) {
  table.group("Flow matching");
  table.add("timestep_sampling", &options.timestep_sampling,
            "How timesteps are drawn: by the density of --weighting_scheme from a shifted schedule (sigma), uniformly, "
            "by the sigmoid of a normal number, the same shifted by --discrete_flow_shift (shift) or by the size of "
            "the image (flux_shift, nextdit_shift).",
            {.choices = std::move(samplings)});
  table.add("sigmoid_scale", &options.sigmoid_scale,
            "Factor of the normal number under a sigmoid; larger values spread the timesteps.");
  table.add("model_prediction_type", &options.model_prediction_type,
            "What the model's output is compared as: the velocity (raw), or the image that it means, weighed by "
            "--weighting_scheme (sigma_scaled); additive adds the noisy input.",
            {.choices = {"raw", "additive", "sigma_scaled"}});
  table.add("discrete_flow_shift", &options.discrete_flow_shift,
            "Shift of the timesteps to more noise with --timestep_sampling sigma and shift; 1 is none.");
}

void describe_training_shift(FlowOptions& options, OptionTable& table) {
  table.group("Flow matching");
  table.add("training_shift", &options.training_shift,
            "Shift of the timesteps: above 1 to more noise (composition), below 1 to less (details).");
}

}  // namespace difftune
