// One picture from one prompt, for any family: noise → sampler with guidance → decoder.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>

#include "diffusion/ddpm_schedule.h"
#include "families/model_family.h"
#include "generate/sample_prompts.h"
#include "image/image.h"

namespace difftune {

struct GenerateOptions {
  std::string sampler = "ddim";  // of prompts that name none
  PredictionType prediction = PredictionType::epsilon;
  // The schedule that the model is trained with. (With reference_quirks pictures use the unshifted one, as there.)
  bool zero_terminal_snr = false;
  // As the reference makes samples during training.
  bool reference_quirks = false;
  std::optional<double> flow_shift = {};  // see SamplerSettings
  // The noise is drawn in it; the reference draws it in the model's.
  c10::ScalarType noise_dtype = c10::kFloat;
  // Called after every call of the denoiser.
  std::function<void(int64_t num_done, int64_t num_calls)> on_call = {};
};

// What the text of a prompt says to the denoiser: one row without guidance, else two, the prompt's and the negative's.
Conditioning encode_prompt(const ModelFamily& family, const SamplePrompt& prompt,
                           TextBatch::Use use = TextBatch::Use::sample_prompt);

// The picture of `prompt`. All components of `family` must be loaded (not the text encoders where `text`, made by
// encode_prompt(), is given) and dropout be off. Gradients are not
// recorded, and no default generator is touched: noise is drawn from a generator of the model's device that begins at
// the prompt's seed, the numbers that torch.manual_seed(seed) and torch.randn give there. Throws UserError that names
// the prompt where a result is not finite.
Image generate_image(const ModelFamily& family, const SamplePrompt& prompt, const GenerateOptions& options = {},
                     const Conditioning* text = nullptr);

// Its first half: scaled latents, float32 [1, C, height / 8, width / 8].
at::Tensor generate_latents(const ModelFamily& family, const SamplePrompt& prompt, const GenerateOptions& options = {},
                            const Conditioning* text = nullptr);
// Its second half: scaled latents of one picture → RGB, rounded to the nearest as in the reference.
Image latents_to_image(const ModelFamily& family, const at::Tensor& latents);

}  // namespace difftune
