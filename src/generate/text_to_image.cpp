#include "generate/text_to_image.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/norm.h>
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
                              .height_px = prompt.height_px,
                              .flow_shift = options.flow_shift});
}

// Standard normal numbers [1, C, h, w] in float32.
at::Tensor draw_noise(const FamilyInfo& info, const SamplePrompt& prompt, at::Generator& generator,
                      const at::TensorOptions& options) {
  const int64_t channels = info.latent_channels, height = prompt.height_px / info.pixels_per_latent,
                width = prompt.width_px / info.pixels_per_latent;
  if (!info.pictures.draws_noise_in_tokens) {
    return at::randn({1, channels, height, width}, generator, options).to(at::kFloat);
  }
  const at::Tensor tokens = at::randn({1, height / 2 * (width / 2), channels * 4}, generator, options).to(at::kFloat);
  return tokens.view({1, height / 2, width / 2, channels, 2, 2})
      .permute({0, 3, 1, 4, 2, 5})
      .reshape({1, channels, height, width});
}

// The denoiser with classifier-free guidance (arXiv 2207.12598), both halves in one batch.
class GuidedDenoiser {
 public:
  GuidedDenoiser(const ModelFamily& family, const SamplePrompt& prompt, const Conditioning* text)
      : family_(family),
        prompt_(prompt),
        is_guided_(is_guided(prompt, family.info().pictures)),
        wanted_(text != nullptr ? *text : encode_prompt(family, prompt)) {
    DT_CHECK(!wanted_.empty());
    if (!is_guided_) return;
    both_ = wanted_;
    for (auto& [name, rows] : wanted_) rows = rows.slice(0, 0, 1);
  }

  c10::Device device() const { return wanted_.begin()->second.device(); }

  // x: float32 [1, C, h, w].
  at::Tensor predict(const at::Tensor& x, double timestep) const {
    if (!is_guided_ || has_ended(timestep)) return denoise(x, timestep, wanted_);
    const at::Tensor output = denoise(at::cat({x, x}), timestep, both_);
    const at::Tensor wanted = output.slice(0, 0, 1), unwanted = output.slice(0, 1, 2);
    return limited(unwanted + prompt_.scale * (wanted - unwanted), wanted);
  }

 private:
  at::Tensor denoise(const at::Tensor& x, double timestep, const Conditioning& text) const {
    const at::Tensor timesteps = at::full({x.size(0)}, timestep, at::TensorOptions(at::kFloat).device(x.device()));
    // A whole picture of its own size.
    const auto height = static_cast<float>(prompt_.height_px), width = static_cast<float>(prompt_.width_px);
    const at::Tensor sizes = at::tensor({height, width, 0.0f, 0.0f, height, width}).unsqueeze(0);
    return family_.denoise({x, timesteps, text, sizes.expand({x.size(0), 6}), prompt_.guidance}).to(at::kFloat);
  }

  bool has_ended(double timestep) const {
    constexpr double kNumTimesteps = 1000;
    return prompt_.limits && 1 - timestep / kNumTimesteps >= prompt_.limits->end;
  }

  at::Tensor limited(const at::Tensor& guided, const at::Tensor& unguided) const {
    if (!prompt_.limits || prompt_.limits->largest_norm <= 0) return guided;
    const double largest = prompt_.limits->largest_norm * at::norm(unguided).item<double>();
    const double norm = at::norm(guided).item<double>();
    return norm > largest ? guided * (largest / norm) : guided;
  }

  const ModelFamily& family_;
  const SamplePrompt& prompt_;
  bool is_guided_;
  Conditioning wanted_, both_;  // the prompt's row, and with the negative prompt's
};

Image to_image(const at::Tensor& decoded) {
  const at::Tensor pixels = (decoded / 2 + 0.5).clamp(0, 1).mul(255).round().to(at::kByte);
  const at::Tensor rows = pixels.squeeze(0).permute({1, 2, 0}).contiguous().cpu();  // [H, W, 3]
  Image image(static_cast<int>(rows.size(1)), static_cast<int>(rows.size(0)), 3);
  std::memcpy(image.pixels.data(), rows.const_data_ptr<uint8_t>(), image.pixels.size());
  return image;
}

}  // namespace

Conditioning encode_prompt(const ModelFamily& family, const SamplePrompt& prompt, TextBatch::Use use) {
  const at::NoGradGuard no_gradients;
  TextBatch batch{.texts = {prompt.prompt}, .use = use};
  if (prompt.second_prompt) batch.second_texts = {*prompt.second_prompt};
  if (is_guided(prompt, family.info().pictures)) {
    batch.texts.push_back(prompt.negative_prompt);
    if (prompt.second_prompt) batch.second_texts.push_back(prompt.negative_prompt);
  }
  return family.encode_text(batch);
}

at::Tensor generate_latents(const ModelFamily& family, const SamplePrompt& prompt, const GenerateOptions& options,
                            const Conditioning* text) {
  const at::NoGradGuard no_gradients;
  const auto sampler = sampler_of(family, prompt, options);
  const GuidedDenoiser denoiser(family, prompt, text);
  const uint64_t seed = prompt.seed ? *prompt.seed : std::random_device()();
  at::Generator generator = make_generator(denoiser.device(), seed);
  const auto noise_options = at::TensorOptions(options.noise_dtype).device(denoiser.device());
  at::Tensor x = draw_noise(family.info(), prompt, generator, noise_options) * sampler->init_noise_sigma();
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
  if (!all_finite(decoded))
    fail("the VAE gave values that are not finite: run it in float32 (training: --no_half_vae)");
  return to_image(decoded);
}

Image generate_image(const ModelFamily& family, const SamplePrompt& prompt, const GenerateOptions& options,
                     const Conditioning* text) {
  at::Tensor latents = generate_latents(family, prompt, options, text);
  const PictureTraits& traits = family.info().pictures;
  if (options.reference_quirks) latents = latents / traits.sample_scale + traits.sample_shift;
  try {
    return latents_to_image(family, latents);
  } catch (const UserError& error) {
    fail("prompt '{}': {}", prompt.prompt, error.what());
  }
}

}  // namespace difftune
