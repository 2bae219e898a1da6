#include "models/unet.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/upsample_nearest2d.h>
#include <fmt/format.h>

#include "base/error.h"
#include "nn/attention.h"
#include "nn/functional.h"
#include "nn/geglu.h"

namespace difftune {
namespace unet {

ResnetBlock::ResnetBlock(const nn::ParameterScope& scope, int64_t in, int64_t out, int64_t time_size, int64_t groups)
    : norm1(scope / "norm1", groups, in, 1e-5),
      conv1(scope / "conv1", in, out, 3, 1, 1),
      time_emb_proj(scope / "time_emb_proj", time_size, out),
      norm2(scope / "norm2", groups, out, 1e-5),
      conv2(scope / "conv2", out, out, 3, 1, 1) {
  if (in != out) conv_shortcut.emplace(scope / "conv_shortcut", in, out, 1);
}

at::Tensor ResnetBlock::forward(const at::Tensor& x, const at::Tensor& time) const {
  at::Tensor h = conv1(nn::silu(norm1(x)));
  h = h + time_emb_proj(time).unsqueeze(-1).unsqueeze(-1);
  h = conv2(nn::silu(norm2(h)));
  return (conv_shortcut ? (*conv_shortcut)(x) : x) + h;
}

CrossAttention::CrossAttention(const nn::ParameterScope& scope, int64_t size, int64_t context_size, int64_t num_heads)
    : to_q(scope / "to_q", size, size, false),
      to_k(scope / "to_k", context_size, size, false),
      to_v(scope / "to_v", context_size, size, false),
      to_out(scope / "to_out" / 0, size, size),
      num_heads_(num_heads) {}

at::Tensor CrossAttention::forward(const at::Tensor& x, const at::Tensor& context) const {
  // One after the other: an adapter's dropout draws in this order, and C++ leaves that of arguments open.
  const at::Tensor q = to_q(x), k = to_k(context), v = to_v(context);
  return to_out(nn::attention(q, k, v, num_heads_));
}

BasicTransformerBlock::BasicTransformerBlock(const nn::ParameterScope& scope, int64_t size, int64_t context_size,
                                             int64_t num_heads)
    : attn1(scope / "attn1", size, size, num_heads),
      ff_in(scope / "ff" / "net" / 0 / "proj", size, 8 * size),
      ff_out(scope / "ff" / "net" / 2, 4 * size, size),
      attn2(scope / "attn2", size, context_size, num_heads),
      norm1(scope / "norm1", size),
      norm2(scope / "norm2", size),
      norm3(scope / "norm3", size) {}

at::Tensor BasicTransformerBlock::forward(const at::Tensor& tokens, const at::Tensor& context) const {
  at::Tensor h = norm1(tokens);
  at::Tensor x = attn1.forward(h, h) + tokens;
  x = attn2.forward(norm2(x), context) + x;
  return ff_out(nn::geglu(ff_in(norm3(x)))) + x;
}

namespace {

template <typename T, typename... Args>
std::unique_ptr<nn::Layer, void (*)(nn::Layer*)> make_layer(Args&&... args) {
  return {new T(std::forward<Args>(args)...), [](nn::Layer* layer) { delete static_cast<T*>(layer); }};
}

std::unique_ptr<nn::Layer, void (*)(nn::Layer*)> make_projection(const nn::ParameterScope& scope, int64_t channels,
                                                                 bool is_linear) {
  if (is_linear) return make_layer<nn::Linear>(scope, channels, channels);
  return make_layer<nn::Conv2d>(scope, channels, channels, 1);
}

}  // namespace

SpatialTransformer::SpatialTransformer(const nn::ParameterScope& scope, const UNetConfig& config, int64_t channels,
                                       int64_t depth, int64_t num_heads)
    : norm_(scope / "norm", config.norm_groups, channels, 1e-6),
      proj_in_(make_projection(scope / "proj_in", channels, config.uses_linear_projection)),
      proj_out_(nullptr, nullptr) {
  for (int64_t i = 0; i < depth; ++i) {
    blocks_.push_back(std::make_unique<BasicTransformerBlock>(scope / "transformer_blocks" / i, channels,
                                                              config.context_size, num_heads));
  }
  proj_out_ = make_projection(scope / "proj_out", channels, config.uses_linear_projection);
}

at::Tensor SpatialTransformer::project(const nn::Layer& layer, const at::Tensor& tokens,
                                       at::IntArrayRef image_shape) const {
  if (layer.kind() == nn::Layer::Kind::linear) return layer(tokens);
  const at::Tensor image = tokens.transpose(1, 2).view(image_shape);
  return layer(image).flatten(2).transpose(1, 2);
}

at::Tensor SpatialTransformer::forward(const at::Tensor& x, const at::Tensor& context) const {
  // Channels-last images are rows of tokens already: both views are free.
  at::Tensor tokens = norm_(x).flatten(2).transpose(1, 2);  // [B, H W, C]
  tokens = project(*proj_in_, tokens, x.sizes());
  for (const auto& block : blocks_) tokens = block->forward(tokens, context);
  tokens = project(*proj_out_, tokens, x.sizes());
  return tokens.transpose(1, 2).view(x.sizes()) + x;
}

}  // namespace unet

// One level of the way down, of the way up, or the middle: resnets, each followed by a transformer where the level has
// them, then the change of resolution.
struct UNet::Level {
  std::vector<std::unique_ptr<unet::SpatialTransformer>> attentions;
  std::vector<std::unique_ptr<unet::ResnetBlock>> resnets;
  std::unique_ptr<nn::Conv2d> downsampler, upsampler;
};

UNet::~UNet() = default;

// The construction order is the order in which the reference creates and names LoRA modules: way down, way up, middle;
// in a level transformers before resnets before the change of resolution.
UNet::UNet(const UNetConfig& config, nn::ParameterReader& reader) : config_(config) {
  const nn::ParameterScope scope(reader, index_);
  const auto& channels = config.block_channels;
  const size_t num_levels = channels.size();
  const int64_t time_size = 4 * channels[0];
  const int64_t num_resnets = config.num_resnets_per_block;

  conv_in_ = std::make_unique<nn::Conv2d>(scope / "conv_in", config.in_channels, channels[0], 3, 1, 1);
  time_linear_1_ = std::make_unique<nn::Linear>(scope / "time_embedding" / "linear_1", channels[0], time_size);
  time_linear_2_ = std::make_unique<nn::Linear>(scope / "time_embedding" / "linear_2", time_size, time_size);
  if (config.vector_size > 0) {
    add_linear_1_ = std::make_unique<nn::Linear>(scope / "add_embedding" / "linear_1", config.vector_size, time_size);
    add_linear_2_ = std::make_unique<nn::Linear>(scope / "add_embedding" / "linear_2", time_size, time_size);
  }

  const auto add_attentions = [&](Level& level, const nn::ParameterScope& at, size_t i, int64_t count) {
    for (int64_t k = 0; k < count && config.transformer_depth[i] > 0; ++k) {
      level.attentions.push_back(std::make_unique<unet::SpatialTransformer>(
          at / "attentions" / k, config, channels[i], config.transformer_depth[i], config.num_heads[i]));
    }
  };
  const auto add_resnet = [&](Level& level, const nn::ParameterScope& at, int64_t in, int64_t out) {
    level.resnets.push_back(std::make_unique<unet::ResnetBlock>(at / "resnets" / level.resnets.size(), in, out,
                                                                time_size, config.norm_groups));
  };

  std::vector<int64_t> skips = {channels[0]};
  for (size_t i = 0; i < num_levels; ++i) {
    auto level = std::make_unique<Level>();
    const auto at = scope / "down_blocks" / i;
    add_attentions(*level, at, i, num_resnets);
    for (int64_t k = 0; k < num_resnets; ++k) {
      add_resnet(*level, at, skips.back(), channels[i]);
      skips.push_back(channels[i]);
    }
    if (i + 1 < num_levels) {
      level->downsampler =
          std::make_unique<nn::Conv2d>(at / "downsamplers" / 0 / "conv", channels[i], channels[i], 3, 2, 1);
      skips.push_back(channels[i]);
    }
    down_.push_back(std::move(level));
  }

  int64_t current = channels.back();
  for (size_t up = 0; up < num_levels; ++up) {
    const size_t i = num_levels - 1 - up;
    auto level = std::make_unique<Level>();
    const auto at = scope / "up_blocks" / up;
    add_attentions(*level, at, i, num_resnets + 1);
    for (int64_t k = 0; k <= num_resnets; ++k) {
      add_resnet(*level, at, current + skips.back(), channels[i]);
      skips.pop_back();
      current = channels[i];
    }
    if (i > 0) {
      level->upsampler =
          std::make_unique<nn::Conv2d>(at / "upsamplers" / 0 / "conv", channels[i], channels[i], 3, 1, 1);
    }
    up_.push_back(std::move(level));
  }

  mid_ = std::make_unique<Level>();
  const auto at = scope / "mid_block";
  // The middle has the depth of the deepest level that has transformers at all (SD: one; SDXL: ten).
  size_t deepest = num_levels - 1;
  while (deepest > 0 && config.transformer_depth[deepest] == 0) --deepest;
  mid_->attentions.push_back(std::make_unique<unet::SpatialTransformer>(
      at / "attentions" / 0, config, channels.back(), config.transformer_depth[deepest], config.num_heads.back()));
  add_resnet(*mid_, at, channels.back(), channels.back());
  add_resnet(*mid_, at, channels.back(), channels.back());

  conv_norm_out_ = std::make_unique<nn::GroupNorm>(scope / "conv_norm_out", config.norm_groups, channels[0], 1e-5);
  conv_out_ = std::make_unique<nn::Conv2d>(scope / "conv_out", channels[0], config.out_channels, 3, 1, 1);
}

at::Tensor UNet::embed_time(const Input& input) const {
  const auto dtype = conv_in_->dtype();
  const at::Tensor sinusoids = nn::timestep_embedding(input.timesteps, config_.block_channels[0]).to(dtype);
  at::Tensor embedding = (*time_linear_2_)(nn::silu((*time_linear_1_)(sinusoids)));
  if (config_.vector_size > 0) {
    DT_CHECK(input.vector.defined(), "this U-Net is conditioned on a vector");
    embedding = embedding + (*add_linear_2_)(nn::silu((*add_linear_1_)(input.vector.to(dtype))));
  }
  return nn::silu(embedding);
}

// The aliases make the gradients of one block's uses of an input add up before they join those of other blocks, with
// and without checkpointing: both give the same bits.
at::Tensor UNet::run(const unet::ResnetBlock& block, const at::Tensor& x, const at::Tensor& time) const {
  return memory_.run(&block, [&block](const auto& in) { return block.forward(in[0], in[1]); }, {x.alias(), time});
}

at::Tensor UNet::run(const unet::SpatialTransformer& block, const at::Tensor& x, const at::Tensor& context) const {
  return memory_.run(&block, [&block](const auto& in) { return block.forward(in[0], in[1]); },
                     {x.alias(), context.alias()});
}

nn::NamedBlocks UNet::blocks() const {
  nn::NamedBlocks all;
  const auto add = [&all](const std::string& path, const Level& level) {
    for (size_t k = 0; k < level.attentions.size(); ++k) {
      all.emplace_back(fmt::format("{}.attentions.{}", path, k), level.attentions[k].get());
    }
  };
  for (size_t i = 0; i < down_.size(); ++i) add(fmt::format("down_blocks.{}", i), *down_[i]);
  add("mid_block", *mid_);
  for (size_t i = 0; i < up_.size(); ++i) add(fmt::format("up_blocks.{}", i), *up_[i]);
  return all;
}

at::Tensor UNet::forward(const Input& input) const {
  const auto dtype = conv_in_->dtype();
  const at::Tensor time = embed_time(input);
  const at::Tensor context = input.context.to(dtype);

  const auto run_pair = [&](const Level& level, size_t k, const at::Tensor& x) {
    const at::Tensor h = run(*level.resnets[k], x, time);
    return k < level.attentions.size() ? run(*level.attentions[k], h, context) : h;
  };

  at::Tensor x = (*conv_in_)(input.sample.to(dtype).contiguous(at::MemoryFormat::ChannelsLast));
  std::vector<at::Tensor> skips = {x};
  for (const auto& level : down_) {
    for (size_t k = 0; k < level->resnets.size(); ++k) skips.push_back(x = run_pair(*level, k, x));
    if (level->downsampler) skips.push_back(x = (*level->downsampler)(x));
  }

  x = run(*mid_->resnets[0], x, time);
  x = run(*mid_->attentions[0], x, context);
  x = run(*mid_->resnets[1], x, time);

  for (const auto& level : up_) {
    for (size_t k = 0; k < level->resnets.size(); ++k) {
      x = run_pair(*level, k, at::cat({x, skips.back()}, 1));
      skips.pop_back();
    }
    if (level->upsampler) {
      const auto size = skips.back().sizes().slice(2);
      x = (*level->upsampler)(at::upsample_nearest2d(x, size));
    }
  }
  return (*conv_out_)(nn::silu((*conv_norm_out_)(x)));
}

}  // namespace difftune
