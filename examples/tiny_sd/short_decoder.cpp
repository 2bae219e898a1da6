#include "tiny_sd/short_decoder.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/group_norm.h>
#include <ATen/ops/upsample_nearest2d.h>
#include <fmt/format.h>

#include <array>

#include "base/error.h"
#include "nn/functional.h"
#include "tiny_sd/weight_editor.h"

namespace difftune::tiny {
namespace {

constexpr int64_t kNumLevels = 4;
// Resnets that are kept by level, from the smallest pictures.
constexpr std::array<int64_t, kNumLevels> kDecoderResnets = {2, 2, 1, 0};

std::string decoder_resnet(int64_t level, int64_t k) {
  return fmt::format("decoder.up_blocks.{}.resnets.{}", level, k);
}

}  // namespace

ShortDecoder::ShortDecoder(const AutoencoderKL& vae) : vae_(vae) {
  const at::NoGradGuard no_grad;
  const auto clear = [&](const std::string& path) {
    parameter(path + ".weight").detach().zero_();
    parameter(path + ".bias").detach().zero_();
  };
  for (int64_t level = 0; level < kNumLevels; ++level) {
    const auto i = static_cast<size_t>(level);
    for (int64_t k = kDecoderResnets[i]; k < 2; ++k) clear(decoder_resnet(level, k) + ".conv2");
  }
  clear("decoder.mid_block.attentions.0.to_out.0");
}

at::Tensor ShortDecoder::operator()(const at::Tensor& latents) const {
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

at::Tensor ShortDecoder::parameter(const std::string& path) const { return WeightEditor(vae_.index()).parameter(path); }

at::Tensor ShortDecoder::layer(const std::string& path, const at::Tensor& x) const {
  const nn::Layer* layer = vae_.index().find_layer(path);
  DT_CHECK(layer != nullptr, "the autoencoder has no {}", path);
  return (*layer)(x);
}

at::Tensor ShortDecoder::norm(const std::string& path, const at::Tensor& x) const {
  return at::group_norm(x, vae_.config().norm_groups, parameter(path + ".weight"), parameter(path + ".bias"), 1e-6);
}

at::Tensor ShortDecoder::resnet(const std::string& path, const at::Tensor& x, bool is_kept) const {
  const std::string shortcut = path + ".conv_shortcut";
  const at::Tensor base = vae_.index().find_layer(shortcut) != nullptr ? layer(shortcut, x) : x;
  if (!is_kept) return base;
  const at::Tensor h = layer(path + ".conv1", nn::silu(norm(path + ".norm1", x)));
  return base + layer(path + ".conv2", nn::silu(norm(path + ".norm2", h)));
}

at::Tensor ShortDecoder::middle(const std::string& path, const at::Tensor& x) const {
  return resnet(path + ".resnets.1", resnet(path + ".resnets.0", x));
}

}  // namespace difftune::tiny
