// The noise that is added to the latents, and how much.
#pragma once

#include <cstdint>
#include <optional>

#include "options/number.h"

namespace difftune {

class OptionTable;

struct NoiseOptions {
  std::optional<Number> noise_offset;
  bool noise_offset_random_strength = false;
  std::optional<Number> adaptive_noise_scale;
  std::optional<int64_t> multires_noise_iterations;
  Number multires_noise_discount = 0.3;
  std::optional<Number> ip_noise_gamma;
  bool ip_noise_gamma_random_strength = false;
  bool zero_terminal_snr = false;
  std::optional<int64_t> min_timestep;
  std::optional<int64_t> max_timestep;
};

void describe(NoiseOptions& options, OptionTable& table);

}  // namespace difftune
