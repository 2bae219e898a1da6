// The reverse process of flow models: Euler steps along the velocity, from noise (sigma 1) to data (sigma 0).
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "diffusion/flow_objective.h"
#include "diffusion/samplers.h"

namespace difftune {

// Shares of noise from 1 down to 0, one more than steps. All take 1 to 1000 steps.

// FLUX: evenly spaced, then shifted by the number of image tokens, which the distilled schnell leaves out.
// Source: black-forest-labs/flux, src/flux/sampling.py, get_schedule.
std::vector<double> flux_sigmas(int64_t num_steps, int64_t num_image_tokens, bool is_shifted = true);

// SD3: evenly spaced from 1 to the smallest sigma of training, shifted, then 0. The smallest sigma is a shifted one
// already, so that the last step before 0 is shifted twice, as the authors have it.
// Source: Stability-AI/sd3.5, sd3_infer.py, and diffusers' FlowMatchEulerDiscreteScheduler.
std::vector<double> sd3_sigmas(int64_t num_steps, double shift);

// Lumina-Image 2.0: evenly spaced from 1 to 1 / num_steps, shifted, then 0.
// Source: diffusers, pipelines/lumina2/pipeline_lumina2.py.
std::vector<double> lumina_sigmas(int64_t num_steps, double shift);

// x + (sigma' - sigma) v for each step, v being the velocity from data to noise; a model whose output points to the
// data gives -v. timesteps() are 1000 sigma.
std::unique_ptr<Sampler> make_flow_euler_sampler(const std::vector<double>& sigmas,
                                                 FlowDirection direction = FlowDirection::to_noise);

}  // namespace difftune
