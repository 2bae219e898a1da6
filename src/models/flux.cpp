#include "models/flux.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include "base/error.h"
#include "nn/functional.h"

namespace difftune {

std::vector<int64_t> FluxConfig::rope_sizes() const {
  const int64_t side = head_size() * 7 / 16 / 2 * 2;
  return {head_size() - 2 * side, side, side};
}

namespace flux {
namespace {

constexpr double kNormEps = 1e-6;

std::optional<ModulationLayer> no_modulation() { return std::nullopt; }

// Positions of text, which has none, and of the image's tokens: (0, row, column).
at::Tensor positions(int64_t num_text_tokens, int64_t rows, int64_t columns, c10::Device device) {
  const auto options = at::TensorOptions(at::kFloat).device(device);
  const at::Tensor y = at::arange(rows, options).view({rows, 1}).expand({rows, columns});
  const at::Tensor x = at::arange(columns, options).view({1, columns}).expand({rows, columns});
  const at::Tensor image = at::stack({at::zeros({rows, columns}, options), y, x}, -1).view({rows * columns, 3});
  return at::cat({at::zeros({num_text_tokens, 3}, options), image});
}

}  // namespace

ModulationLayer::ModulationLayer(const nn::ParameterScope& scope, int64_t size, int64_t num_vectors)
    : lin(scope / "lin", size, num_vectors * size) {}

at::Tensor ModulationLayer::operator()(const at::Tensor& activated_vector) const {
  return lin(activated_vector).unflatten(-1, {-1, lin.in_features()});
}

QkNorm::QkNorm(const nn::ParameterScope& scope, int64_t head_size)
    : query_norm(scope / "query_norm", head_size, kNormEps, "scale"),
      key_norm(scope / "key_norm", head_size, kNormEps, "scale") {}

SelfAttention::SelfAttention(const nn::ParameterScope& scope, int64_t size, int64_t num_heads)
    : qkv(scope / "qkv", size, 3 * size),
      norm(scope / "norm", size / num_heads),
      proj(scope / "proj", size, size),
      num_heads_(num_heads) {}

SelfAttention::Heads SelfAttention::heads(const at::Tensor& x) const {
  const auto parts = dit::split_heads(qkv(x), 3, num_heads_);
  return {norm.query_norm(parts[0]), norm.key_norm(parts[1]), parts[2]};
}

FeedForward::FeedForward(const nn::ParameterScope& scope, int64_t size, int64_t mlp_size)
    : in_layer(scope / 0, size, mlp_size), out_layer(scope / 2, mlp_size, size) {}

at::Tensor FeedForward::operator()(const at::Tensor& x) const { return out_layer(dit::gelu_tanh(in_layer(x))); }

DoubleBlock::DoubleBlock(const nn::ParameterScope& scope, const FluxConfig& config, bool makes_modulation)
    : img_mod(makes_modulation ? std::optional<ModulationLayer>(std::in_place, scope / "img_mod", config.hidden_size, 6)
                               : no_modulation()),
      img_attn(scope / "img_attn", config.hidden_size, config.num_heads),
      img_mlp(scope / "img_mlp", config.hidden_size, config.mlp_size),
      txt_mod(makes_modulation ? std::optional<ModulationLayer>(std::in_place, scope / "txt_mod", config.hidden_size, 6)
                               : no_modulation()),
      txt_attn(scope / "txt_attn", config.hidden_size, config.num_heads),
      txt_mlp(scope / "txt_mlp", config.hidden_size, config.mlp_size) {}

DoubleBlock::Streams DoubleBlock::forward(const Streams& in, const at::Tensor& img_vectors,
                                          const at::Tensor& txt_vectors, const Sequence& sequence) const {
  at::Tensor img = in.img, txt = in.txt;
  const auto img_mod1 = dit::modulation(img_vectors, 0), img_mod2 = dit::modulation(img_vectors, 1);
  const auto txt_mod1 = dit::modulation(txt_vectors, 0), txt_mod2 = dit::modulation(txt_vectors, 1);

  const auto of_img = img_attn.heads(dit::modulated_norm(img, img_mod1.shift, img_mod1.scale));
  const auto of_txt = txt_attn.heads(dit::modulated_norm(txt, txt_mod1.shift, txt_mod1.scale));
  const at::Tensor q = nn::rotate(at::cat({of_txt.q, of_img.q}, 2), sequence.rotations);
  const at::Tensor k = nn::rotate(at::cat({of_txt.k, of_img.k}, 2), sequence.rotations);
  const at::Tensor attention = dit::attend(q, k, at::cat({of_txt.v, of_img.v}, 2), sequence.mask);
  const int64_t num_text_tokens = txt.size(1);

  img = img + img_mod1.gate * img_attn.proj(attention.slice(1, num_text_tokens));
  img = img + img_mod2.gate * img_mlp(dit::modulated_norm(img, img_mod2.shift, img_mod2.scale));
  txt = txt + txt_mod1.gate * txt_attn.proj(attention.slice(1, 0, num_text_tokens));
  txt = txt + txt_mod2.gate * txt_mlp(dit::modulated_norm(txt, txt_mod2.shift, txt_mod2.scale));
  return {img, txt};
}

SingleBlock::SingleBlock(const nn::ParameterScope& scope, const FluxConfig& config, bool makes_modulation)
    : linear1(scope / "linear1", config.hidden_size, 3 * config.hidden_size + config.mlp_size),
      linear2(scope / "linear2", config.hidden_size + config.mlp_size, config.hidden_size),
      norm(scope / "norm", config.head_size()),
      size_(config.hidden_size),
      num_heads_(config.num_heads) {
  if (makes_modulation) modulation.emplace(scope / "modulation", config.hidden_size, 3);
}

at::Tensor SingleBlock::forward(const at::Tensor& x, const at::Tensor& vectors, const Sequence& sequence) const {
  const auto mod = dit::modulation(vectors, 0);
  const at::Tensor in = linear1(dit::modulated_norm(x, mod.shift, mod.scale));
  const auto heads = dit::split_heads(in.slice(2, 0, 3 * size_), 3, num_heads_);
  const at::Tensor q = nn::rotate(norm.query_norm(heads[0]), sequence.rotations);
  const at::Tensor k = nn::rotate(norm.key_norm(heads[1]), sequence.rotations);
  const at::Tensor attention = dit::attend(q, k, heads[2], sequence.mask);
  return x + mod.gate * linear2(at::cat({attention, dit::gelu_tanh(in.slice(2, 3 * size_))}, 2));
}

LastLayer::LastLayer(const nn::ParameterScope& scope, const FluxConfig& config, bool makes_modulation)
    : linear(scope / "linear", config.hidden_size, config.in_channels) {
  if (makes_modulation)
    adaLN_modulation.emplace(scope / "adaLN_modulation" / 1, config.hidden_size, 2 * config.hidden_size);
}

at::Tensor LastLayer::forward(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale) const {
  return linear(dit::modulated_norm(x, shift, scale));
}

Trunk::Trunk(const nn::ParameterScope& scope, const FluxConfig& config, bool makes_modulation)
    : double_blocks([&] {
        std::vector<std::unique_ptr<DoubleBlock>> blocks;
        for (int64_t i = 0; i < config.num_double_blocks; ++i) {
          blocks.push_back(std::make_unique<DoubleBlock>(scope / "double_blocks" / i, config, makes_modulation));
        }
        return blocks;
      }()),
      single_blocks([&] {
        std::vector<std::unique_ptr<SingleBlock>> blocks;
        for (int64_t i = 0; i < config.num_single_blocks; ++i) {
          blocks.push_back(std::make_unique<SingleBlock>(scope / "single_blocks" / i, config, makes_modulation));
        }
        return blocks;
      }()),
      final_layer(scope / "final_layer", config, makes_modulation),
      config_(config) {}

// The aliases make the gradients of one block's uses of an input add up before they join those of other blocks, with
// and without checkpointing: both give the same bits.
DoubleBlock::Streams Trunk::run(const DoubleBlock& block, const DoubleBlock::Streams& in,
                                const std::pair<at::Tensor, at::Tensor>& vectors, const Sequence& sequence) const {
  const std::vector<at::Tensor> inputs = {in.img.alias(), in.txt.alias(), vectors.first.alias(),
                                          vectors.second.alias()};
  const auto out = memory.run_forked(
      &block,
      [&block, sequence](const auto& from) {
        const auto streams = block.forward({from[0], from[1]}, from[2], from[3], sequence);
        return std::vector{streams.img, streams.txt};
      },
      inputs);
  return {out[0], out[1]};
}

at::Tensor Trunk::run(const SingleBlock& block, const at::Tensor& x, const at::Tensor& vectors,
                      const Sequence& sequence) const {
  return memory.run(&block, [&block, sequence](const auto& from) { return block.forward(from[0], from[1], sequence); },
                    {x.alias(), vectors.alias()});
}

nn::NamedBlocks Trunk::blocks() const {
  nn::NamedBlocks all;
  for (size_t i = 0; i < double_blocks.size(); ++i) {
    all.emplace_back(fmt::format("double_blocks.{}", i), double_blocks[i].get());
  }
  for (size_t i = 0; i < single_blocks.size(); ++i) {
    all.emplace_back(fmt::format("single_blocks.{}", i), single_blocks[i].get());
  }
  return all;
}

at::Tensor Trunk::forward(const at::Tensor& img, const at::Tensor& txt, const at::Tensor& text_mask, int64_t rows,
                          int64_t columns, const Conditioner& conditioner) const {
  const int64_t num_text_tokens = txt.size(1);
  const Sequence sequence = {
      nn::rotations(positions(num_text_tokens, rows, columns, img.device()), config_.rope_sizes()),
      dit::key_mask(text_mask, img.size(1))};
  DoubleBlock::Streams streams = {img, txt};
  for (size_t i = 0; i < double_blocks.size(); ++i) {
    streams = run(*double_blocks[i], streams, conditioner.double_block(i), sequence);
  }
  at::Tensor x = at::cat({streams.txt, streams.img}, 1);
  for (size_t i = 0; i < single_blocks.size(); ++i) {
    x = run(*single_blocks[i], x, conditioner.single_block(i), sequence);
  }
  const at::Tensor last = conditioner.last_layer();
  return final_layer.forward(x.slice(1, num_text_tokens), last.slice(1, 0, 1), last.slice(1, 1, 2));
}

}  // namespace flux

Flux::Flux(const FluxConfig& config, nn::ParameterReader& reader) : config_(config) {
  const nn::ParameterScope scope(reader, index_);
  const auto embedder = [&](const char* name, int64_t in) {
    const auto at = scope / name;
    return std::make_unique<dit::Mlp>(at / "in_layer", at / "out_layer", in, config.hidden_size);
  };
  img_in_ = std::make_unique<nn::Linear>(scope / "img_in", config.in_channels, config.hidden_size);
  time_in_ = embedder("time_in", 256);
  vector_in_ = embedder("vector_in", config.vector_size);
  if (config.has_guidance) guidance_in_ = embedder("guidance_in", 256);
  txt_in_ = std::make_unique<nn::Linear>(scope / "txt_in", config.context_size, config.hidden_size);
  trunk_ = std::make_unique<flux::Trunk>(scope, config, /*makes_modulation=*/true);
}

at::Tensor Flux::forward(const FluxInput& input) const {
  const auto dtype = img_in_->dtype();
  // Steps of 0 to 1 as sinusoids of 0 to 1000, multiplied in the dtype that they come in.
  const auto sinusoids = [dtype](const at::Tensor& values) {
    return nn::timestep_embedding(values * 1000.0, 256).to(dtype);
  };
  const int64_t height = input.latents.size(2), width = input.latents.size(3);
  const at::Tensor img = (*img_in_)(dit::to_patches(input.latents.to(dtype), 2));
  at::Tensor vector = (*time_in_)(sinusoids(input.timesteps));
  if (config_.has_guidance) {
    DT_CHECK(input.guidance.defined(), "this model is distilled for a guidance strength and needs one");
    vector = vector + (*guidance_in_)(sinusoids(input.guidance));
  }
  vector = nn::silu(vector + (*vector_in_)(input.vector.to(dtype)));

  const auto visible = dit::visible_text(input.text.to(dtype), input.text_mask);
  const at::Tensor txt = (*txt_in_)(visible.text);

  const flux::Conditioner conditioner = {
      [&](size_t i) {
        const auto& block = *trunk_->double_blocks[i];
        const at::Tensor img_vectors = (*block.img_mod)(vector);
        return std::pair(img_vectors, (*block.txt_mod)(vector));
      },
      [&](size_t i) { return (*trunk_->single_blocks[i]->modulation)(vector); },
      [&] {
        return (*trunk_->final_layer.adaLN_modulation)(vector).unflatten(-1, {2, -1});
      }};
  const at::Tensor out = trunk_->forward(img, txt, visible.mask, height / 2, width / 2, conditioner);
  return dit::from_patches(out, 2, height, width);
}

}  // namespace difftune
