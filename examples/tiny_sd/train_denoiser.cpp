#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/stack.h>

#include "base/log.h"
#include "base/progress.h"
#include "diffusion/ddpm_objective.h"
#include "nn/random_state.h"
#include "tiny_sd/average_autoencoder.h"
#include "tiny_sd/draw_pictures.h"
#include "tiny_sd/train_parts.h"

namespace difftune::tiny {
namespace {

constexpr int kNumPictures = 4096;
constexpr int kEncodeBatch = 64;
constexpr double kEmptyCaptionRate = 0.1;
constexpr double kLargestWeight = 20;

struct Pictures {
  std::vector<Scene> scenes;
  at::Tensor latents;  // [pictures, 4, 8, 8], scaled
};

Pictures encode_pictures(const AutoencoderKL& vae, PythonRandom& random) {
  Pictures result;
  std::vector<at::Tensor> latents;
  Progress progress("encoding", kNumPictures, "pictures");
  for (int done = 0; done < kNumPictures; done += kEncodeBatch) {
    std::vector<Image> pictures;
    for (int i = 0; i < kEncodeBatch; ++i) {
      result.scenes.push_back(draw_scene(random));
      pictures.push_back(paint(result.scenes.back(), kPictureSizePx, random));
    }
    latents.push_back(average_latents(vae, to_tensor(pictures)) * kLatentScale);
    progress.advance(kEncodeBatch);
  }
  result.latents = at::cat(latents);
  log::info("latents: mean {:.3f}, variance {:.3f}", result.latents.mean().item<double>(),
            result.latents.var().item<double>());
  return result;
}

}  // namespace

void train_denoiser(TinyModel& model, const TrainSettings& settings) {
  nn::seed_generators(settings.seed);
  PythonRandom random(settings.seed);
  const Pictures pictures = encode_pictures(*model.vae, random);
  const auto generator = at::make_generator<at::CPUGeneratorImpl>(settings.seed);
  const DdpmObjective objective({});
  // What a caption says matters where there is more noise than picture. There an error of the noise is weighted as the
  // error of the picture that is left without it.
  const at::Tensor weights = objective.schedule().snr().reciprocal().clamp(1, kLargestWeight);

  // The text encoder stays what start_from_words made it: trained along, it forgot the shapes, which bring less than
  // colours, before the U-Net had found a use for them.
  AveragedAdamW optimizer(trainable_parameters(model.unet->index()), settings);
  Progress progress("denoiser", settings.num_steps);
  double average = 0;
  for (int64_t step = 0; step < settings.num_steps; ++step) {
    std::vector<std::string> captions;
    std::vector<at::Tensor> latents;
    for (int64_t i = 0; i < settings.batch_size; ++i) {
      const auto picture = static_cast<int64_t>(random.below(pictures.scenes.size()));
      latents.push_back(pictures.latents[picture]);
      const bool is_empty = random.random() < kEmptyCaptionRate;
      captions.push_back(is_empty ? "" : describe_loosely(pictures.scenes[static_cast<size_t>(picture)], random));
    }
    const NoisedBatch batch =
        objective.draw(at::stack(latents), RandomSources{generator, generator, [&random] { return random.random(); }});
    const at::Tensor context = encode_captions(*model.text, captions);
    const at::Tensor output = model.unet->forward({batch.noisy_latents, batch.timesteps, context, {}});
    const at::Tensor loss = (objective.per_sample_loss(output, batch) * weights.index({batch.timesteps})).mean();
    optimizer.step(loss);
    average += (loss.item<double>() - average) * (step == 0 ? 1 : 0.02);
    if ((step + 1) % 250 == 0) log::info("denoiser step {}: loss {:.4f}", step + 1, average);
    progress.advance(1, fmt::format("loss={:.4f}", average));
  }
  optimizer.finish();
}

}  // namespace difftune::tiny
