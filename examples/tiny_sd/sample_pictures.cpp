#include "tiny_sd/sample_pictures.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>

#include "diffusion/samplers.h"
#include "tiny_sd/tiny_model.h"

namespace difftune::tiny {

std::vector<Image> sample_pictures(const ModelFamily& family, const std::vector<std::string>& prompts,
                                   const SampleSettings& settings) {
  const at::NoGradGuard no_grad;
  const FamilyInfo info = family.info();
  const int64_t edge = settings.size_px / info.pixels_per_latent;
  const auto num_pictures = static_cast<int64_t>(prompts.size());

  std::vector<std::string> texts(prompts.size(), "");
  texts.insert(texts.end(), prompts.begin(), prompts.end());
  const Conditioning conditioning = family.encode_text({texts, TextBatch::Use::training_caption});

  std::vector<at::Tensor> noise;
  for (uint64_t i = 0; i < prompts.size(); ++i) {
    const auto generator = at::make_generator<at::CPUGeneratorImpl>(settings.seed + i);
    noise.push_back(at::randn({1, info.latent_channels, edge, edge}, generator, at::kFloat));
  }
  const auto sampler = make_sampler({.name = "ddim", .num_steps = settings.num_steps}, DdpmSchedule());
  at::Tensor latents = at::cat(noise) * sampler->init_noise_sigma();
  auto unused = at::make_generator<at::CPUGeneratorImpl>(settings.seed);
  for (size_t call = 0; call < sampler->timesteps().size(); ++call) {
    const at::Tensor input = sampler->scale_model_input(latents, call);
    const at::Tensor timesteps = at::full({2 * num_pictures}, sampler->timesteps()[call], at::kFloat);
    const auto halves = family.denoise({at::cat({input, input}), timesteps, conditioning}).to(at::kFloat).chunk(2);
    latents = sampler->step(halves[0] + (halves[1] - halves[0]) * settings.guidance, call, latents, unused);
  }
  return to_pictures(family.decode_latents(latents / info.latent_scale));
}

}  // namespace difftune::tiny
