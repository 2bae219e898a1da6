// What a diffusion model is trained to do, without the model: noise and timesteps in, a target and a loss out.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "diffusion/noise.h"

namespace difftune {

// One batch after the forward process. The trainer may replace rows of `target`, e.g. with another model's prediction.
struct NoisedBatch {
  at::Tensor noisy_latents;  // [B, C, h, w]: the model's input
  at::Tensor timesteps;      // [B]: the model's time input
  at::Tensor noise;          // [B, C, h, w]
  at::Tensor target;         // [B, C, h, w]: what the model should predict
  at::Tensor sigmas = {};    // [B]: the share of noise; flow models only
};

// What the dataset says about the weight of a batch. Undefined tensors mean weight 1.
struct LossWeights {
  at::Tensor samples;  // [B] float32
  at::Tensor mask;     // [B, H, W] in pixels, 0 to 1
};

class Objective {
 public:
  virtual ~Objective() = default;

  // Draws noise and timesteps for `latents` ([B, C, h, w], scaled) and adds the noise. A given `timestep` replaces the
  // drawn ones, so that validation losses can be compared.
  virtual NoisedBatch draw(const at::Tensor& latents, const RandomSources& random,
                           std::optional<int64_t> timestep = std::nullopt) const = 0;

  // [B] float32, differentiable; its mean is the loss of the batch. `model_output` has the target's shape.
  virtual at::Tensor per_sample_loss(const at::Tensor& model_output, const NoisedBatch& batch,
                                     const LossWeights& weights = {}) const = 0;

  // `count` timesteps spread evenly inside the range that is trained.
  virtual std::vector<int64_t> validation_timesteps(int64_t count = 4) const = 0;
};

}  // namespace difftune
