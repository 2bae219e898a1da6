#include "models/autoencoder_kl.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/randn_like.h>
#include <ATen/ops/upsample_nearest2d.h>

#include <optional>

#include "nn/attention.h"
#include "nn/functional.h"

namespace difftune {
namespace {

class ResnetBlock {
 public:
  ResnetBlock(const nn::ParameterScope& scope, int64_t in, int64_t out, int64_t groups)
      : norm1(scope / "norm1", groups, in, 1e-6),
        conv1(scope / "conv1", in, out, 3, 1, 1),
        norm2(scope / "norm2", groups, out, 1e-6),
        conv2(scope / "conv2", out, out, 3, 1, 1) {
    if (in != out) conv_shortcut.emplace(scope / "conv_shortcut", in, out, 1);
  }

  at::Tensor forward(const at::Tensor& x) const {
    const at::Tensor h = conv2(nn::silu(norm2(conv1(nn::silu(norm1(x))))));
    return (conv_shortcut ? (*conv_shortcut)(x) : x) + h;
  }

 private:
  nn::GroupNorm norm1;
  nn::Conv2d conv1;
  nn::GroupNorm norm2;
  nn::Conv2d conv2;
  std::optional<nn::Conv2d> conv_shortcut;
};

// Self-attention of one head over all pixels.
class AttentionBlock {
 public:
  AttentionBlock(const nn::ParameterScope& scope, int64_t channels, int64_t groups)
      : group_norm(scope / "group_norm", groups, channels, 1e-6),
        to_q(scope / "to_q", channels, channels),
        to_k(scope / "to_k", channels, channels),
        to_v(scope / "to_v", channels, channels),
        to_out(scope / "to_out" / 0, channels, channels) {}

  at::Tensor forward(const at::Tensor& x) const {
    const at::Tensor tokens = group_norm(x).flatten(2).transpose(1, 2);
    const at::Tensor out = to_out(nn::attention(to_q(tokens), to_k(tokens), to_v(tokens), 1));
    return x + out.transpose(1, 2).view(x.sizes());
  }

 private:
  nn::GroupNorm group_norm;
  nn::Linear to_q, to_k, to_v, to_out;
};

struct MidBlock {
  MidBlock(const nn::ParameterScope& scope, int64_t channels, int64_t groups)
      : attention(scope / "attentions" / 0, channels, groups),
        first(scope / "resnets" / 0, channels, channels, groups),
        second(scope / "resnets" / 1, channels, channels, groups) {}

  at::Tensor forward(const at::Tensor& x) const { return second.forward(attention.forward(first.forward(x))); }

  AttentionBlock attention;
  ResnetBlock first, second;
};

struct Level {
  std::vector<std::unique_ptr<ResnetBlock>> resnets;
  std::unique_ptr<nn::Conv2d> resampler;
};

}  // namespace

at::Tensor LatentDistribution::sample() const { return mean + at::exp(log_variance * 0.5) * at::randn_like(mean); }

struct AutoencoderKL::Encoder {
  Encoder(const nn::ParameterScope& scope, const AutoencoderConfig& config) {
    const auto& channels = config.block_channels;
    conv_in = std::make_unique<nn::Conv2d>(scope / "conv_in", config.image_channels, channels[0], 3, 1, 1);
    int64_t current = channels[0];
    for (size_t i = 0; i < channels.size(); ++i) {
      const auto at = scope / "down_blocks" / i;
      Level level;
      for (int64_t k = 0; k < config.num_resnets_per_block; ++k) {
        level.resnets.push_back(
            std::make_unique<ResnetBlock>(at / "resnets" / k, current, channels[i], config.norm_groups));
        current = channels[i];
      }
      if (i + 1 < channels.size()) {
        level.resampler = std::make_unique<nn::Conv2d>(at / "downsamplers" / 0 / "conv", current, current, 3, 2, 0);
      }
      levels.push_back(std::move(level));
    }
    mid = std::make_unique<MidBlock>(scope / "mid_block", current, config.norm_groups);
    conv_norm_out = std::make_unique<nn::GroupNorm>(scope / "conv_norm_out", config.norm_groups, current, 1e-6);
    conv_out = std::make_unique<nn::Conv2d>(scope / "conv_out", current, 2 * config.latent_channels, 3, 1, 1);
  }

  at::Tensor forward(const at::Tensor& images) const {
    at::Tensor x = (*conv_in)(images);
    for (const auto& level : levels) {
      for (const auto& resnet : level.resnets) x = resnet->forward(x);
      // One row and one column of zeros at the far sides only, as in the original.
      if (level.resampler) x = (*level.resampler)(at::constant_pad_nd(x, {0, 1, 0, 1}));
    }
    return (*conv_out)(nn::silu((*conv_norm_out)(mid->forward(x))));
  }

  std::unique_ptr<nn::Conv2d> conv_in, conv_out;
  std::vector<Level> levels;
  std::unique_ptr<MidBlock> mid;
  std::unique_ptr<nn::GroupNorm> conv_norm_out;
};

struct AutoencoderKL::Decoder {
  Decoder(const nn::ParameterScope& scope, const AutoencoderConfig& config) {
    const auto& channels = config.block_channels;
    int64_t current = channels.back();
    conv_in = std::make_unique<nn::Conv2d>(scope / "conv_in", config.latent_channels, current, 3, 1, 1);
    mid = std::make_unique<MidBlock>(scope / "mid_block", current, config.norm_groups);
    for (size_t up = 0; up < channels.size(); ++up) {
      const int64_t out = channels[channels.size() - 1 - up];
      const auto at = scope / "up_blocks" / up;
      Level level;
      for (int64_t k = 0; k <= config.num_resnets_per_block; ++k) {
        level.resnets.push_back(std::make_unique<ResnetBlock>(at / "resnets" / k, current, out, config.norm_groups));
        current = out;
      }
      if (up + 1 < channels.size()) {
        level.resampler = std::make_unique<nn::Conv2d>(at / "upsamplers" / 0 / "conv", current, current, 3, 1, 1);
      }
      levels.push_back(std::move(level));
    }
    conv_norm_out = std::make_unique<nn::GroupNorm>(scope / "conv_norm_out", config.norm_groups, current, 1e-6);
    conv_out = std::make_unique<nn::Conv2d>(scope / "conv_out", current, config.image_channels, 3, 1, 1);
  }

  at::Tensor forward(const at::Tensor& latents) const {
    at::Tensor x = mid->forward((*conv_in)(latents));
    for (const auto& level : levels) {
      for (const auto& resnet : level.resnets) x = resnet->forward(x);
      if (level.resampler) x = (*level.resampler)(at::upsample_nearest2d(x, {x.size(2) * 2, x.size(3) * 2}));
    }
    return (*conv_out)(nn::silu((*conv_norm_out)(x)));
  }

  std::unique_ptr<nn::Conv2d> conv_in, conv_out;
  std::unique_ptr<MidBlock> mid;
  std::vector<Level> levels;
  std::unique_ptr<nn::GroupNorm> conv_norm_out;
};

AutoencoderKL::~AutoencoderKL() = default;

AutoencoderKL::AutoencoderKL(const AutoencoderConfig& config, nn::ParameterReader& reader) : config_(config) {
  const nn::ParameterScope scope(reader, index_);
  const int64_t c = config.latent_channels;
  encoder_ = std::make_unique<Encoder>(scope / "encoder", config);
  decoder_ = std::make_unique<Decoder>(scope / "decoder", config);
  if (config.has_quant_conv) {
    quant_conv_ = std::make_unique<nn::Conv2d>(scope / "quant_conv", 2 * c, 2 * c, 1);
    post_quant_conv_ = std::make_unique<nn::Conv2d>(scope / "post_quant_conv", c, c, 1);
  }
}

c10::ScalarType AutoencoderKL::dtype() const { return encoder_->conv_in->dtype(); }

LatentDistribution AutoencoderKL::encode(const at::Tensor& images) const {
  at::Tensor moments = encoder_->forward(images.to(dtype()).contiguous(at::MemoryFormat::ChannelsLast));
  if (quant_conv_) moments = (*quant_conv_)(moments);
  // Plain layout for what leaves the model: draws and files follow it.
  const auto halves = moments.contiguous().chunk(2, 1);
  const at::Tensor log_variance = config_.clamps_log_variance ? at::clamp(halves[1], -30.0, 20.0) : halves[1];
  return {halves[0].contiguous(), log_variance.contiguous()};
}

at::Tensor AutoencoderKL::decode(const at::Tensor& latents) const {
  at::Tensor x = latents.to(dtype()).contiguous(at::MemoryFormat::ChannelsLast);
  if (post_quant_conv_) x = (*post_quant_conv_)(x);
  return decoder_->forward(x).contiguous();
}

}  // namespace difftune
