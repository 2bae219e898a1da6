#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/log.h>

#include <algorithm>

#include "base/error.h"
#include "base/log.h"
#include "base/progress.h"
#include "nn/random_state.h"
#include "tiny_sd/average_autoencoder.h"
#include "tiny_sd/draw_pictures.h"
#include "tiny_sd/short_decoder.h"
#include "tiny_sd/train_parts.h"
#include "tiny_sd/weight_editor.h"

namespace difftune::tiny {
namespace {

constexpr double kSquaredErrorWeight = 2;

// Most from the grammar, the rest clutter; in turn whole pictures and, four for one, the piece around the middle
// of others: there is more to learn about outlines than about flat colour.
at::Tensor draw_batch(int64_t step, int64_t batch_size, PythonRandom& random) {
  const bool is_pieces = step % 2 == 0;
  std::vector<Image> pictures;
  for (int64_t i = 0; i < (is_pieces ? 4 * batch_size : batch_size); ++i) {
    const auto is_place = [](const NamedPlace& place) { return place.x == 0.5 && place.y == 0.5; };
    Scene scene = draw_scene(random);
    if (is_pieces) scene.place = static_cast<size_t>(std::ranges::find_if(places(), is_place) - places().begin());
    pictures.push_back(random.random() < 0.7 ? paint(scene, kPictureSizePx, random)
                                             : paint_clutter(kPictureSizePx, random));
  }
  const at::Tensor all = to_tensor(pictures);
  if (!is_pieces) return all;
  constexpr int64_t kPiecePx = kPictureSizePx / 2;
  const int64_t x = random.randint(kPiecePx / 4, kPiecePx * 3 / 4), y = random.randint(kPiecePx / 4, kPiecePx * 3 / 4);
  return all.narrow(2, y, kPiecePx).narrow(3, x, kPiecePx);
}

// Mean and standard deviation of the latents' means, per channel.
std::pair<at::Tensor, at::Tensor> measure_latents(const AutoencoderKL& vae, PythonRandom& random) {
  std::vector<at::Tensor> latents;
  for (int batch = 0; batch < 8; ++batch) {
    std::vector<Image> pictures;
    for (int i = 0; i < 32; ++i) pictures.push_back(paint(draw_scene(random), kPictureSizePx, random));
    latents.push_back(average_latents(vae, to_tensor(pictures)));
  }
  const at::Tensor all = at::cat(latents).transpose(0, 1).flatten(1);  // [channels, values]
  return {all.mean(1), all.std(1)};
}

// z' = (z - mean) / (std x 0.18215), as the last 1x1 convolution of the encoder and the first of the decoder.
void fold_latent_scale(AutoencoderKL& vae, PythonRandom& random) {
  const auto [mean, deviation] = measure_latents(vae, random);
  const int64_t c = vae.config().latent_channels;
  const at::Tensor scale = deviation * kLatentScale;
  const WeightEditor edit(vae.index());
  at::Tensor weight = edit.parameter("quant_conv.weight"), bias = edit.parameter("quant_conv.bias");
  weight.narrow(0, 0, c).div_(scale.view({c, 1, 1, 1}));
  bias.narrow(0, 0, c).sub_(mean).div_(scale);
  bias.narrow(0, c, c).sub_(at::log(scale) * 2);
  at::Tensor back = edit.parameter("post_quant_conv.weight"), shift = edit.parameter("post_quant_conv.bias");
  shift.add_(back.flatten(1).matmul(mean));
  back.mul_(scale.view({1, c, 1, 1}));
}

}  // namespace

void scale_latents(TinyModel& model, uint64_t seed) {
  const at::NoGradGuard no_grad;
  PythonRandom random(seed);
  fold_latent_scale(*model.vae, random);
}

void train_decoder(TinyModel& model, const TrainSettings& settings) {
  nn::seed_generators(settings.seed);
  PythonRandom random(settings.seed);
  const ShortDecoder decode(*model.vae);
  std::vector<at::Tensor> parameters;
  for (const auto& parameter : model.vae->index().parameters) {
    const bool is_encoder = parameter.path.starts_with("encoder.") || parameter.path.starts_with("quant_conv.");
    if (!is_encoder) parameters.push_back(*parameter.tensor);
  }
  AveragedAdamW optimizer(std::move(parameters), settings);
  Progress progress("decoder", settings.num_steps);
  double average = 0;
  for (int64_t step = 0; step < settings.num_steps; ++step) {
    const at::Tensor pictures = draw_batch(step, settings.batch_size, random);
    const at::Tensor error = decode(average_latents(*model.vae, pictures)) - pictures;
    const at::Tensor absolute = error.abs().mean();
    optimizer.step(absolute + error.square().mean() * kSquaredErrorWeight);
    average += (absolute.item<double>() - average) * (step == 0 ? 1 : 0.05);
    if ((step + 1) % 100 == 0) {
      log::info("decoder step {}: absolute error {:.4f}", step + 1, average);
    }
    progress.advance(1, fmt::format("error={:.4f}", average));
  }
  optimizer.finish();
}

}  // namespace difftune::tiny
