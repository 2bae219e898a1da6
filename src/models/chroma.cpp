#include "models/chroma.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>

#include "base/error.h"
#include "nn/functional.h"

namespace difftune {
namespace chroma {

Approximator::Approximator(const nn::ParameterScope& scope, const ChromaConfig& config)
    : in_proj(scope / "in_proj", config.approximator_in, config.approximator_size),
      layers([&] {
        std::vector<std::unique_ptr<dit::Mlp>> made;
        for (int64_t i = 0; i < config.approximator_depth; ++i) {
          const auto at = scope / "layers" / i;
          made.push_back(std::make_unique<dit::Mlp>(at / "in_layer", at / "out_layer", config.approximator_size,
                                                    config.approximator_size));
        }
        return made;
      }()),
      norms([&] {
        std::vector<std::unique_ptr<nn::RmsNorm>> made;
        for (int64_t i = 0; i < config.approximator_depth; ++i) {
          made.push_back(std::make_unique<nn::RmsNorm>(scope / "norms" / i, config.approximator_size, 1e-6, "scale"));
        }
        return made;
      }()),
      out_proj(scope / "out_proj", config.approximator_size, config.blocks.hidden_size) {}

at::Tensor Approximator::forward(const at::Tensor& x) const {
  at::Tensor h = in_proj(x);
  for (size_t i = 0; i < layers.size(); ++i) h = h + (*layers[i])((*norms[i])(h));
  return out_proj(h);
}

}  // namespace chroma

namespace {

// [B, M]: the caption's tokens and the first padding token after them.
at::Tensor with_one_padding_token(const at::Tensor& mask) {
  const at::Tensor lengths = (mask != 0).sum(-1, /*keepdim=*/true) + 1;
  return at::arange(mask.size(1), lengths.options()).unsqueeze(0) < lengths;
}

}  // namespace

Chroma::Chroma(const ChromaConfig& config, nn::ParameterReader& reader) : config_(config) {
  const nn::ParameterScope scope(reader, index_);
  const auto& blocks = config.blocks;
  img_in_ = std::make_unique<nn::Linear>(scope / "img_in", blocks.in_channels, blocks.hidden_size);
  distilled_guidance_layer_ = std::make_unique<chroma::Approximator>(scope / "distilled_guidance_layer", config);
  txt_in_ = std::make_unique<nn::Linear>(scope / "txt_in", blocks.context_size, blocks.hidden_size);
  trunk_ = std::make_unique<flux::Trunk>(scope, blocks, /*makes_modulation=*/false);
}

// [B, num_vectors, size]: for each vector the step, the guidance and its number as sinusoids, through the approximator.
at::Tensor Chroma::modulation_vectors(const at::Tensor& timesteps, const at::Tensor& guidance) const {
  const at::NoGradGuard frozen;
  const int64_t quarter = config_.approximator_in / 4, batch = timesteps.size(0), count = config_.num_vectors();
  const auto sinusoids = [](const at::Tensor& values, int64_t size) {
    return nn::timestep_embedding(values * 1000.0, size);
  };
  const at::Tensor step = at::cat({sinusoids(timesteps, quarter), sinusoids(guidance, quarter)}, 1);
  const at::Tensor numbers = sinusoids(at::arange(count, timesteps.options().dtype(at::kFloat)), 2 * quarter);
  const at::Tensor input =
      at::cat({step.unsqueeze(1).expand({batch, count, -1}), numbers.unsqueeze(0).expand({batch, count, -1})}, -1);
  return distilled_guidance_layer_->forward(input.to(img_in_->dtype()));
}

at::Tensor Chroma::forward(const FluxInput& input) const {
  DT_CHECK(input.guidance.defined(), "Chroma needs a guidance strength");
  const auto dtype = img_in_->dtype();
  const at::Tensor vectors = modulation_vectors(input.timesteps, input.guidance);
  const int64_t num_double = config_.blocks.num_double_blocks, num_single = config_.blocks.num_single_blocks;
  const int64_t first_img = 3 * num_single, first_txt = first_img + 6 * num_double, last = first_txt + 6 * num_double;
  const auto slice = [&vectors](int64_t first, int64_t count) { return vectors.slice(1, first, first + count); };
  const flux::Conditioner conditioner = {[&](size_t i) {
                                           const auto offset = 6 * static_cast<int64_t>(i);
                                           return std::pair(slice(first_img + offset, 6), slice(first_txt + offset, 6));
                                         },
                                         [&](size_t i) { return slice(3 * static_cast<int64_t>(i), 3); },
                                         [&] { return slice(last, 2); }};

  const int64_t height = input.latents.size(2), width = input.latents.size(3);
  const at::Tensor img = (*img_in_)(dit::to_patches(input.latents.to(dtype), 2));
  const at::Tensor mask = input.text_mask.defined() ? with_one_padding_token(input.text_mask) : at::Tensor();
  const auto visible = dit::visible_text(input.text.to(dtype), mask);
  const at::Tensor out =
      trunk_->forward(img, (*txt_in_)(visible.text), visible.mask, height / 2, width / 2, conditioner);
  return dit::from_patches(out, 2, height, width);
}

}  // namespace difftune
