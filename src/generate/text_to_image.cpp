#include "generate/text_to_image.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>

#include <cstring>
#include <mutex>
#include <random>

#include "base/error.h"
#include "diffusion/samplers.h"
#include "nn/random_state.h"

namespace difftune {
namespace {

// A generator of our own on `device`, at the start of the sequence of `seed`.
at::Generator make_generator(c10::Device device, uint64_t seed) {
  at::Generator shared = nn::default_generator(device);
  std::lock_guard lock(shared.mutex());
  at::Generator own = shared.clone();
  own.set_current_seed(seed);
  return own;
}

bool all_finite(const at::Tensor& tensor) { return at::isfinite(tensor).all().item<bool>(); }

std::unique_ptr<Sampler> sampler_of(const ModelFamily& family, const SamplePrompt& prompt,
                                    const GenerateOptions& options) {
  return family.make_sampler({.sampler = {.name = prompt.sampler.value_or(options.sampler),
                                          .num_steps = prompt.num_steps,
                                          .prediction = options.prediction,
                                          .reference_quirks = options.reference_quirks},
                              .zero_terminal_snr = options.zero_terminal_snr,
                              .width_px = prompt.width_px,
                              .height_px = prompt.height_px});
}

bool is_guided(const SamplePrompt& prompt) { return prompt.scale > 1; }

// The denoiser with classifier-free guidance (arXiv 2207.12598), both halves in one batch.
class GuidedDenoiser {
 public:
  GuidedDenoiser(const ModelFamily& family, const SamplePrompt& prompt, const Conditioning* text)
      : family_(family),
        scale_(prompt.scale),
        is_guided_(is_guided(prompt)),
        conditioning_(text != nullptr ? *text : encode_prompt(family, prompt)) {
    DT_CHECK(!conditioning_.empty());
    // A whole picture of its own size.
    const auto height = static_cast<float>(prompt.height_px), width = static_cast<float>(prompt.width_px);
    sizes_ = at::tensor({height, width, 0.0f, 0.0f, height, width}).unsqueeze(0).expand({num_rows(), 6});
  }

  c10::Device device() const { return conditioning_.begin()->second.device(); }

  // x: float32 [1, C, h, w].
  at::Tensor predict(const at::Tensor& x, double timestep) const {
    const at::Tensor timesteps = at::full({num_rows()}, timestep, at::TensorOptions(at::kFloat).device(x.device()));
    const at::Tensor input = is_guided_ ? at::cat({x, x}) : x;
    const at::Tensor output = family_.denoise({input, timesteps, conditioning_, sizes_}).to(at::kFloat);
    if (!is_guided_) return output;
    const at::Tensor wanted = output.slice(0, 0, 1), unwanted = output.slice(0, 1, 2);
    return unwanted + scale_ * (wanted - unwanted);
  }

 private:
  int64_t num_rows() const { return is_guided_ ? 2 : 1; }

  const ModelFamily& family_;
  double scale_;
  bool is_guided_;
  Conditioning conditioning_;
  at::Tensor sizes_;
};

Image to_image(const at::Tensor& decoded) {
  const at::Tensor pixels = (decoded / 2 + 0.5).clamp(0, 1).mul(255).round().to(at::kByte);
  const at::Tensor rows = pixels.squeeze(0).permute({1, 2, 0}).contiguous().cpu();  // [H, W, 3]
  Image image(static_cast<int>(rows.size(1)), static_cast<int>(rows.size(0)), 3);
  std::memcpy(image.pixels.data(), rows.const_data_ptr<uint8_t>(), image.pixels.size());
  return image;
}

}  // namespace

Conditioning encode_prompt(const ModelFamily& family, const SamplePrompt& prompt) {
  const at::NoGradGuard no_gradients;
  TextBatch batch{{prompt.prompt}, TextBatch::Use::sample_prompt};
  if (is_guided(prompt)) batch.texts.push_back(prompt.negative_prompt);
  return family.encode_text(batch);
}

at::Tensor generate_latents(const ModelFamily& family, const SamplePrompt& prompt, const GenerateOptions& options,
                            const Conditioning* text) {
  const at::NoGradGuard no_gradients;
  const FamilyInfo& info = family.info();
  const auto sampler = sampler_of(family, prompt, options);
  const GuidedDenoiser denoiser(family, prompt, text);
  const uint64_t seed = prompt.seed ? *prompt.seed : std::random_device()();
  at::Generator generator = make_generator(denoiser.device(), seed);
  const std::vector<int64_t> shape = {1, info.latent_channels, prompt.height_px / info.pixels_per_latent,
                                      prompt.width_px / info.pixels_per_latent};
  at::Tensor x = at::randn(shape, generator, at::TensorOptions(at::kFloat).device(denoiser.device())) *
                 sampler->init_noise_sigma();
  const std::vector<double>& timesteps = sampler->timesteps();
  for (size_t call = 0; call < timesteps.size(); ++call) {
    const at::Tensor output = denoiser.predict(sampler->scale_model_input(x, call), timesteps[call]);
    x = sampler->step(output, call, x, generator);
    if (options.on_call) options.on_call(static_cast<int64_t>(call) + 1, static_cast<int64_t>(timesteps.size()));
  }
  if (!all_finite(x)) {
    fail(
        "prompt '{}': the denoiser gave values that are not finite: the training has gone astray (lower the learning "
        "rate), or float16 is too narrow (--mixed_precision bf16 or no)",
        prompt.prompt);
  }
  return x;
}

Image latents_to_image(const ModelFamily& family, const at::Tensor& latents) {
  const at::NoGradGuard no_gradients;
  DT_CHECK(latents.dim() == 4 && latents.size(0) == 1, "{} axes", latents.dim());
  const FamilyInfo& info = family.info();
  const at::Tensor decoded = family.decode_latents(latents / info.latent_scale + info.latent_shift).to(at::kFloat);
  if (!all_finite(decoded)) fail("the VAE gave values that are not finite: add --no_half_vae");
  return to_image(decoded);
}

Image generate_image(const ModelFamily& family, const SamplePrompt& prompt, const GenerateOptions& options,
                     const Conditioning* text) {
  const at::Tensor latents = generate_latents(family, prompt, options, text);
  try {
    return latents_to_image(family, latents);
  } catch (const UserError& error) {
    fail("prompt '{}': {}", prompt.prompt, error.what());
  }
}

}  // namespace difftune
