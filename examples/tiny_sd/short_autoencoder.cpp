#include "tiny_sd/short_autoencoder.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/group_norm.h>
#include <ATen/ops/upsample_nearest2d.h>
#include <fmt/format.h>

#include <array>

#include "base/error.h"
#include "nn/functional.h"

namespace difftune::tiny {
namespace {

constexpr int64_t kNumLevels = 4;
// Resnets that are kept: in the encoder by level, one each at most; in the decoder by level, from the smallest
// pictures.
constexpr std::array<int64_t, kNumLevels> kEncoderResnets = {0, 0, 0, 0};
constexpr std::array<int64_t, kNumLevels> kDecoderResnets = {2, 2, 1, 0};

std::string encoder_resnet(int64_t level, int64_t k) {
  return fmt::format("encoder.down_blocks.{}.resnets.{}", level, k);
}
std::string decoder_resnet(int64_t level, int64_t k) {
  return fmt::format("decoder.up_blocks.{}.resnets.{}", level, k);
}

}  // namespace

ShortAutoencoder::ShortAutoencoder(const AutoencoderKL& vae) : vae_(vae) {
  const at::NoGradGuard no_grad;
  const auto clear = [&](const std::string& path) {
    parameter(path + ".weight").detach().zero_();
    parameter(path + ".bias").detach().zero_();
  };
  for (int64_t level = 0; level < kNumLevels; ++level) {
    const auto i = static_cast<size_t>(level);
    for (int64_t k = kEncoderResnets[i]; k < 1; ++k) clear(encoder_resnet(level, k) + ".conv2");
    for (int64_t k = kDecoderResnets[i]; k < 2; ++k) clear(decoder_resnet(level, k) + ".conv2");
  }
  for (const char* part : {"encoder", "decoder"}) clear(fmt::format("{}.mid_block.attentions.0.to_out.0", part));
}

LatentDistribution ShortAutoencoder::encode(const at::Tensor& images) const {
  at::Tensor x = layer("encoder.conv_in", images.contiguous(at::MemoryFormat::ChannelsLast));
  for (int64_t level = 0; level < kNumLevels; ++level) {
    for (int64_t k = 0; k < 1; ++k)
      x = resnet(encoder_resnet(level, k), x, k < kEncoderResnets[static_cast<size_t>(level)]);
    if (level + 1 < kNumLevels) {
      x = layer(fmt::format("encoder.down_blocks.{}.downsamplers.0.conv", level), at::constant_pad_nd(x, {0, 1, 0, 1}));
    }
  }
  x = nn::silu(norm("encoder.conv_norm_out", x));
  const auto halves = layer("quant_conv", layer("encoder.conv_out", x)).contiguous().chunk(2, 1);
  return {halves[0].contiguous(), at::clamp(halves[1], -30.0, 20.0).contiguous()};
}

at::Tensor ShortAutoencoder::decode(const at::Tensor& latents) const {
  const at::Tensor z = layer("post_quant_conv", latents.contiguous(at::MemoryFormat::ChannelsLast));
  at::Tensor x = middle("decoder.mid_block", layer("decoder.conv_in", z));
  for (int64_t level = 0; level < kNumLevels; ++level) {
    for (int64_t k = 0; k < 2; ++k)
      x = resnet(decoder_resnet(level, k), x, k < kDecoderResnets[static_cast<size_t>(level)]);
    if (level + 1 < kNumLevels) {
      x = layer(fmt::format("decoder.up_blocks.{}.upsamplers.0.conv", level),
                at::upsample_nearest2d(x, {x.size(2) * 2, x.size(3) * 2}));
    }
  }
  return layer("decoder.conv_out", nn::silu(norm("decoder.conv_norm_out", x))).contiguous();
}

const at::Tensor& ShortAutoencoder::parameter(const std::string& path) const {
  for (const auto& entry : vae_.index().parameters) {
    if (entry.path == path) return *entry.tensor;
  }
  throw InternalError(fmt::format("the autoencoder has no {}", path));
}

at::Tensor ShortAutoencoder::layer(const std::string& path, const at::Tensor& x) const {
  const nn::Layer* layer = vae_.index().find_layer(path);
  DT_CHECK(layer != nullptr, "the autoencoder has no {}", path);
  return (*layer)(x);
}

at::Tensor ShortAutoencoder::norm(const std::string& path, const at::Tensor& x) const {
  return at::group_norm(x, vae_.config().norm_groups, parameter(path + ".weight"), parameter(path + ".bias"), 1e-6);
}

at::Tensor ShortAutoencoder::resnet(const std::string& path, const at::Tensor& x, bool is_kept) const {
  const std::string shortcut = path + ".conv_shortcut";
  const at::Tensor base = vae_.index().find_layer(shortcut) != nullptr ? layer(shortcut, x) : x;
  if (!is_kept) return base;
  const at::Tensor h = layer(path + ".conv1", nn::silu(norm(path + ".norm1", x)));
  return base + layer(path + ".conv2", nn::silu(norm(path + ".norm2", h)));
}

at::Tensor ShortAutoencoder::middle(const std::string& path, const at::Tensor& x) const {
  return resnet(path + ".resnets.1", resnet(path + ".resnets.0", x));
}

}  // namespace difftune::tiny
