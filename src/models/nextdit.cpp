#include "models/nextdit.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>

#include "base/error.h"
#include "nn/functional.h"

namespace difftune {
namespace nextdit {
namespace {

constexpr double kNormEps = 1e-5, kQkNormEps = 1e-6;

// [B, N, heads d] → [B, heads, N, d].
at::Tensor heads_of(const at::Tensor& x, int64_t num_heads) { return x.unflatten(2, {num_heads, -1}).transpose(1, 2); }

}  // namespace

JointAttention::JointAttention(const nn::ParameterScope& scope, const NextDiTConfig& config)
    : qkv(scope / "qkv", config.hidden_size, (config.num_heads + 2 * config.num_kv_heads) * config.head_size(), false),
      out(scope / "out", config.hidden_size, config.hidden_size, false),
      q_norm(scope / "q_norm", config.head_size(), kQkNormEps),
      k_norm(scope / "k_norm", config.head_size(), kQkNormEps),
      num_heads_(config.num_heads),
      num_kv_heads_(config.num_kv_heads),
      head_size_(config.head_size()) {}

at::Tensor JointAttention::operator()(const at::Tensor& x, const Sequence& sequence) const {
  const int64_t q_size = num_heads_ * head_size_, kv_size = num_kv_heads_ * head_size_;
  const auto parts = qkv(x).split_with_sizes({q_size, kv_size, kv_size}, 2);
  const at::Tensor q = nn::rotate(q_norm(heads_of(parts[0], num_heads_)), sequence.rotations);
  const at::Tensor k = nn::rotate(k_norm(heads_of(parts[1], num_kv_heads_)), sequence.rotations);
  const at::Tensor v = heads_of(parts[2], num_kv_heads_);
  const int64_t group = num_heads_ / num_kv_heads_;  // queries that share a key
  return out(dit::attend(q, k.repeat_interleave(group, 1), v.repeat_interleave(group, 1), sequence.mask));
}

FeedForward::FeedForward(const nn::ParameterScope& scope, int64_t size, int64_t mlp_size)
    : w1(scope / "w1", size, mlp_size, false),
      w2(scope / "w2", mlp_size, size, false),
      w3(scope / "w3", size, mlp_size, false) {}

at::Tensor FeedForward::operator()(const at::Tensor& x) const {
  const at::Tensor gate = nn::silu(w1(x));
  return w2(gate * w3(x));
}

Block::Block(const nn::ParameterScope& scope, const NextDiTConfig& config, bool has_modulation)
    : attention(scope / "attention", config),
      feed_forward(scope / "feed_forward", config.hidden_size, config.mlp_size),
      attention_norm1(scope / "attention_norm1", config.hidden_size, kNormEps),
      ffn_norm1(scope / "ffn_norm1", config.hidden_size, kNormEps),
      attention_norm2(scope / "attention_norm2", config.hidden_size, kNormEps),
      ffn_norm2(scope / "ffn_norm2", config.hidden_size, kNormEps) {
  if (has_modulation)
    adaLN_modulation.emplace(scope / "adaLN_modulation" / 1, config.time_size, 4 * config.hidden_size);
}

at::Tensor Block::forward(const at::Tensor& in, const at::Tensor& activated_time, const Sequence& sequence) const {
  if (!adaLN_modulation) {
    const at::Tensor x = in + attention_norm2(attention(attention_norm1(in), sequence));
    return x + ffn_norm2(feed_forward(ffn_norm1(x)));
  }
  const auto vectors = (*adaLN_modulation)(activated_time).unsqueeze(1).chunk(4, 2);
  const at::Tensor &scale_attention = vectors[0], &gate_attention = vectors[1], &scale_mlp = vectors[2],
                   &gate_mlp = vectors[3];
  const at::Tensor attended = attention(attention_norm1(in) * (scale_attention + 1), sequence);
  const at::Tensor x = in + at::tanh(gate_attention) * attention_norm2(attended);
  return x + at::tanh(gate_mlp) * ffn_norm2(feed_forward(ffn_norm1(x) * (scale_mlp + 1)));
}

}  // namespace nextdit

namespace {

// Positions of M text tokens (their number, 0, 0) and of the image's tokens (length of the text, row, column):
// [B, M + rows columns, 3], or without the batch where all texts are as long.
at::Tensor positions(const at::Tensor& text_mask, int64_t num_text_tokens, int64_t rows, int64_t columns,
                     c10::Device device) {
  const auto options = at::TensorOptions(at::kFloat).device(device);
  const at::Tensor number = at::arange(num_text_tokens, options);
  const at::Tensor text = at::stack({number, at::zeros_like(number), at::zeros_like(number)}, -1);
  const at::Tensor y = at::arange(rows, options).view({rows, 1}).expand({rows, columns}).reshape({-1});
  const at::Tensor x = at::arange(columns, options).view({1, columns}).expand({rows, columns}).reshape({-1});
  const auto image = [&](double length) { return at::stack({at::full(y.sizes(), length, options), y, x}, -1); };
  if (!text_mask.defined()) return at::cat({text, image(static_cast<double>(num_text_tokens))});
  std::vector<at::Tensor> samples;
  for (int64_t i = 0; i < text_mask.size(0); ++i) {
    samples.push_back(at::cat({text, image(text_mask[i].sum().item<double>())}));
  }
  return at::stack(samples);
}

}  // namespace

NextDiT::NextDiT(const NextDiTConfig& config, nn::ParameterReader& reader) : config_(config) {
  const nn::ParameterScope scope(reader, index_);
  const int64_t size = config.hidden_size, token = config.in_channels * config.patch_size * config.patch_size;
  const auto blocks = [&](const char* name, int64_t count, bool has_modulation) {
    std::vector<std::unique_ptr<nextdit::Block>> made;
    for (int64_t i = 0; i < count; ++i) {
      made.push_back(std::make_unique<nextdit::Block>(scope / name / i, config, has_modulation));
    }
    return made;
  };
  // The order in which the reference names the modules of its LoRA.
  context_refiner_ = blocks("context_refiner", config.num_refiners, false);
  noise_refiner_ = blocks("noise_refiner", config.num_refiners, true);
  layers_ = blocks("layers", config.num_layers, true);
  final_linear_ = std::make_unique<nn::Linear>(scope / "final_layer" / "linear", size, token);
  final_modulation_ =
      std::make_unique<nn::Linear>(scope / "final_layer" / "adaLN_modulation" / 1, config.time_size, size);
  x_embedder_ = std::make_unique<nn::Linear>(scope / "x_embedder", token, size);
  const auto time = scope / "t_embedder" / "mlp";
  t_embedder_ = std::make_unique<dit::Mlp>(time / 0, time / 2, 256, config.time_size);
  caption_norm_ = std::make_unique<nn::RmsNorm>(scope / "cap_embedder" / 0, config.caption_size, 1e-5);
  cap_embedder_ = std::make_unique<nn::Linear>(scope / "cap_embedder" / 1, config.caption_size, size);
}

// The aliases make the gradients of one block's uses of an input add up before they join those of other blocks, with
// and without checkpointing: both give the same bits.
at::Tensor NextDiT::run(const nextdit::Block& block, const at::Tensor& x, const at::Tensor& time,
                        const nextdit::Sequence& sequence) const {
  return memory_.run(&block, [&block, sequence](const auto& from) { return block.forward(from[0], from[1], sequence); },
                     {x.alias(), time.alias()});
}

nn::NamedBlocks NextDiT::blocks() const {
  nn::NamedBlocks all;
  for (size_t i = 0; i < layers_.size(); ++i) all.emplace_back(fmt::format("layers.{}", i), layers_[i].get());
  return all;
}

at::Tensor NextDiT::forward(const Input& input) const {
  const auto dtype = x_embedder_->dtype();
  const int64_t height = input.latents.size(2), width = input.latents.size(3), patch = config_.patch_size;
  const int64_t rows = height / patch, columns = width / patch, num_image_tokens = rows * columns;
  const at::Tensor time = nn::silu((*t_embedder_)(nn::timestep_embedding(input.timesteps, 256).to(dtype)));
  const auto visible = dit::visible_text(input.caption.to(dtype), input.caption_mask);
  at::Tensor text = (*cap_embedder_)((*caption_norm_)(visible.text));
  const int64_t num_text_tokens = text.size(1), third = config_.head_size() / 3;

  const auto all =
      nn::rotations(positions(visible.mask, num_text_tokens, rows, columns, text.device()), {third, third, third});
  const auto part = [&](int64_t first, int64_t last) {
    return nn::Rotations{all.cos.slice(-2, first, last).contiguous(), all.sin.slice(-2, first, last).contiguous()};
  };
  const nextdit::Sequence text_only = {part(0, num_text_tokens), dit::key_mask(visible.mask, 0)};
  const nextdit::Sequence image_only = {part(num_text_tokens, num_text_tokens + num_image_tokens), {}};
  const nextdit::Sequence joint = {all, dit::key_mask(visible.mask, num_image_tokens)};

  for (const auto& block : context_refiner_) text = run(*block, text, time, text_only);
  at::Tensor image = (*x_embedder_)(dit::to_patches(input.latents.to(dtype), patch, /*channels_last=*/true));
  for (const auto& block : noise_refiner_) image = run(*block, image, time, image_only);
  at::Tensor x = at::cat({text, image}, 1);
  for (const auto& block : layers_) x = run(*block, x, time, joint);

  const at::Tensor scale = (*final_modulation_)(time).unsqueeze(1);
  x = dit::modulated_norm(x.slice(1, num_text_tokens), at::zeros_like(scale), scale);
  return dit::from_patches((*final_linear_)(x), patch, height, width, /*channels_last=*/true);
}

}  // namespace difftune
