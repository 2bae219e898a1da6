#include "options/groups/noise.h"

#include "options/option_table.h"

namespace difftune {

void describe(NoiseOptions& options, OptionTable& table) {
  table.group("Noise and timesteps");
  table.add(
      "noise_offset", &options.noise_offset,
      "Add noise that is the same over a whole channel, by this factor (about 0.1), for darker and lighter pictures.");
  table.add("noise_offset_random_strength", &options.noise_offset_random_strength,
            "Draw the factor between 0 and --noise_offset in every step.");
  table.add("adaptive_noise_scale", &options.adaptive_noise_scale,
            "Add this times the latents' mean absolute value to --noise_offset.");
  table.add("multires_noise_iterations", &options.multires_noise_iterations,
            "Levels of coarser noise added to the noise (6 to 10); 0 is off.", {.minimum = 0});
  table.add("multires_noise_discount", &options.multires_noise_discount,
            "Factor from one of those levels to the next.");
  table.add("ip_noise_gamma", &options.ip_noise_gamma,
            "Input perturbation: more noise on the input than the target knows of (about 0.1).");
  table.add("ip_noise_gamma_random_strength", &options.ip_noise_gamma_random_strength,
            "Draw that strength between 0 and --ip_noise_gamma in every step.");
  table.add("zero_terminal_snr", &options.zero_terminal_snr,
            "Change the noise schedule so that the last step is pure noise; meant for --v_parameterization.");
  table.add("min_timestep", &options.min_timestep, "Lowest timestep that is trained; 0 without it.",
            {.minimum = 0, .maximum = 999});
  table.add("max_timestep", &options.max_timestep,
            "Upper end of the timesteps that are trained, not included; 1000 without it.",
            {.minimum = 1, .maximum = 1000});
}

}  // namespace difftune
