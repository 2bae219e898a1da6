#include "models/t5_encoder.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/isinf.h>
#include <ATen/ops/log.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/where.h>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "nn/attention.h"
#include "nn/checkpoint.h"

namespace difftune {
namespace {

// Root mean square norm (arXiv:1910.07467), the mean in fp32.
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight) {
  const at::Tensor mean_square = x.to(at::kFloat).square().mean(-1, /*keepdim=*/true);
  return weight * (x * at::rsqrt(mean_square + 1e-6)).to(weight.scalar_type());
}

// Values of fp16 that became infinite are brought back: T5's residuals grow beyond its range. Source: transformers,
// T5Block.
at::Tensor without_overflow(const at::Tensor& x) {
  if (x.scalar_type() != at::kHalf) return x;
  constexpr double kMax = 65504;
  const double limit = at::isinf(x).any().item<bool>() ? kMax - 1000 : kMax;
  return at::clamp(x, -limit, limit);
}

double lowest(c10::ScalarType dtype) {
  if (dtype == at::kHalf) return static_cast<double>(std::numeric_limits<at::Half>::lowest());
  if (dtype == at::kBFloat16) return static_cast<double>(std::numeric_limits<at::BFloat16>::lowest());
  return std::numeric_limits<float>::lowest();
}

// The class of the distance from each token (row) to each other (column): [tokens, tokens]. Short distances have a
// class each, longer ones share them on a logarithmic scale. In fp32, as transformers computes it.
at::Tensor distance_buckets(const T5EncoderConfig& config, int64_t num_tokens, c10::Device device) {
  const at::Tensor positions = at::arange(num_tokens, at::TensorOptions(at::kLong).device(device));
  const at::Tensor offset = positions.unsqueeze(0) - positions.unsqueeze(1), distance = at::abs(offset);
  const int64_t per_side = config.num_distance_buckets / 2, num_exact = per_side / 2;
  const double octaves = std::log(static_cast<double>(config.max_distance) / static_cast<double>(num_exact));
  const at::Tensor shared =
      num_exact + (at::log(distance.to(at::kFloat) / num_exact) / octaves * (per_side - num_exact)).to(at::kLong);
  return (offset > 0).to(at::kLong) * per_side +
         at::where(distance < num_exact, distance, at::clamp(shared, std::nullopt, per_side - 1));
}

}  // namespace

class T5Encoder::Block {
 public:
  Block(const nn::ParameterScope& scope, const T5EncoderConfig& config)
      : Block(scope / "layer" / 0, scope / "layer" / 1, config, config.num_heads * config.head_size) {}

  at::Tensor forward(const at::Tensor& x, const at::Tensor& bias) const {
    const at::Tensor y = without_overflow(x + attend(rms_norm(x, attention_norm_), bias));
    const at::Tensor h = rms_norm(y, feed_forward_norm_);
    return without_overflow(y + wo(at::gelu(wi_0(h), "tanh") * wi_1(h)));
  }

 private:
  Block(const nn::ParameterScope& attention, const nn::ParameterScope& feed_forward, const T5EncoderConfig& config,
        int64_t inner)
      : q(attention / "SelfAttention" / "q", config.hidden_size, inner, false),
        k(attention / "SelfAttention" / "k", config.hidden_size, inner, false),
        v(attention / "SelfAttention" / "v", config.hidden_size, inner, false),
        o(attention / "SelfAttention" / "o", inner, config.hidden_size, false),
        wi_0(feed_forward / "DenseReluDense" / "wi_0", config.hidden_size, config.intermediate_size, false),
        wi_1(feed_forward / "DenseReluDense" / "wi_1", config.hidden_size, config.intermediate_size, false),
        wo(feed_forward / "DenseReluDense" / "wo", config.intermediate_size, config.hidden_size, false),
        num_heads_(config.num_heads) {
    (attention / "layer_norm").read(attention_norm_, "weight", {config.hidden_size}, nn::Init::ones);
    (feed_forward / "layer_norm").read(feed_forward_norm_, "weight", {config.hidden_size}, nn::Init::ones);
  }

  // Scores are not divided by the root of the head's size: the initial weights of T5 do that.
  at::Tensor attend(const at::Tensor& x, const at::Tensor& bias) const {
    const auto heads_first = [this](const at::Tensor& t) {  // [B, heads, tokens, head size]
      return t.view({t.size(0), t.size(1), num_heads_, -1}).transpose(1, 2);
    };
    // One after the other: adapters with dropout draw in this order.
    const at::Tensor queries = heads_first(q(x)), keys = heads_first(k(x)), values = heads_first(v(x));
    const at::Tensor out = nn::attention_of_heads(queries, keys, values, bias, /*is_causal=*/false, /*scale=*/1.0);
    return o(out.transpose(1, 2).flatten(2));
  }

  nn::Linear q, k, v, o, wi_0, wi_1, wo;
  at::Tensor attention_norm_, feed_forward_norm_;
  int64_t num_heads_;
};

T5Encoder::~T5Encoder() = default;

T5Encoder::T5Encoder(const T5EncoderConfig& config, nn::ParameterReader& reader) : config_(config) {
  const nn::ParameterScope scope(reader, index_);
  (scope / "shared").read(embedding_, "weight", {config.vocabulary_size, config.hidden_size}, nn::Init::normal_002);
  const auto encoder = scope / "encoder";
  for (int64_t i = 0; i < config.num_layers; ++i) {
    blocks_.push_back(std::make_unique<Block>(encoder / "block" / i, config));
  }
  // The blocks share the bias that lies in the first.
  (encoder / "block" / 0 / "layer" / 0 / "SelfAttention" / "relative_attention_bias")
      .read(distance_bias_, "weight", {config.num_distance_buckets, config.num_heads}, nn::Init::normal_002);
  (encoder / "final_layer_norm").read(final_layer_norm_, "weight", {config.hidden_size}, nn::Init::ones);
}

at::Tensor T5Encoder::attention_bias(const at::Tensor& ids, const at::Tensor& mask) const {
  const at::Tensor buckets = distance_buckets(config_, ids.size(1), ids.device());
  const at::Tensor bias = at::embedding(distance_bias_, buckets).permute({2, 0, 1}).unsqueeze(0).to(dtype());
  if (!mask.defined()) return bias;
  return bias + (1 - mask.to(dtype())).view({mask.size(0), 1, 1, mask.size(1)}) * lowest(dtype());
}

at::Tensor T5Encoder::forward(const at::Tensor& ids, const at::Tensor& mask) const {
  DT_CHECK(ids.dim() == 2 && (!mask.defined() || mask.sizes() == ids.sizes()), "ids and mask are [B, tokens]");
  at::Tensor x = at::embedding(embedding_, ids).to(dtype());
  const at::Tensor bias = attention_bias(ids, mask);
  for (const auto& block : blocks_) {
    x = is_checkpointing_ ? nn::checkpoint([&block](const auto& in) { return block->forward(in[0], in[1]); }, {x, bias})
                          : block->forward(x, bias);
  }
  return rms_norm(x, final_layer_norm_);
}

}  // namespace difftune
