#include "options/groups/loss.h"

#include "options/option_table.h"

namespace difftune {

void describe(LossOptions& options, OptionTable& table) {
  table.group("Loss");
  table.add("loss_type", &options.loss_type,
            "How prediction and target are compared: absolute, squared, or squared near and absolute far.",
            {.choices = {"l1", "l2", "huber", "smooth_l1"}});
  table.add("huber_schedule", &options.huber_schedule, "How the border of huber and smooth_l1 depends on the timestep.",
            {.choices = {"constant", "exponential", "snr"}});
  table.add("huber_c", &options.huber_c, "Border between squared and absolute of huber and smooth_l1.", {.minimum = 0});
  table.add("huber_scale", &options.huber_scale, "Factor on that border for the constant and exponential schedules.",
            {.minimum = 0});
  table.add("min_snr_gamma", &options.min_snr_gamma,
            "Min-SNR weighting: limit the weight of timesteps with little noise; lower is stronger, 5 is usual, 0 is "
            "off.",
            {.minimum = 0});
  table.add("scale_v_pred_loss_like_noise_pred", &options.scale_v_pred_loss_like_noise_pred,
            "Weigh the loss of v-prediction over timesteps as that of noise prediction; needs --v_parameterization.");
  table.add("v_pred_like_loss", &options.v_pred_like_loss,
            "Add this times a loss weighted like v-prediction; not with --v_parameterization.");
  table.add("debiased_estimation_loss", &options.debiased_estimation_loss, "Weigh timesteps by debiased estimation.");
}

}  // namespace difftune
