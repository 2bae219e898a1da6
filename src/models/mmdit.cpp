#include "models/mmdit.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/reciprocal.h>
#include <ATen/ops/sin.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "nn/functional.h"

namespace difftune {
namespace mmdit {

Attention::Attention(const nn::ParameterScope& scope, const MMDiTConfig& config, bool has_output)
    : qkv(scope / "qkv", config.hidden_size, 3 * config.hidden_size), num_heads_(config.num_heads) {
  if (has_output) proj.emplace(scope / "proj", config.hidden_size, config.hidden_size);
  if (!config.has_qk_norm) return;
  ln_q.emplace(scope / "ln_q", config.hidden_size / config.num_heads, 1e-6);
  ln_k.emplace(scope / "ln_k", config.hidden_size / config.num_heads, 1e-6);
}

Attention::Heads Attention::heads(const at::Tensor& x) const {
  const auto parts = dit::split_heads(qkv(x), 3, num_heads_);
  return {ln_q ? (*ln_q)(parts[0]) : parts[0], ln_k ? (*ln_k)(parts[1]) : parts[1], parts[2]};
}

Mlp::Mlp(const nn::ParameterScope& scope, int64_t size, int64_t mlp_size)
    : fc1(scope / "fc1", size, mlp_size), fc2(scope / "fc2", mlp_size, size) {}

at::Tensor Mlp::operator()(const at::Tensor& x) const { return fc2(dit::gelu_tanh(fc1(x))); }

namespace {

int64_t num_vectors(DiTBlock::Kind kind) {
  if (kind == DiTBlock::Kind::with_self_attention) return 9;
  return kind == DiTBlock::Kind::full ? 6 : 2;
}

// [B, heads, N, d] as heads of another width.
at::Tensor with_heads(const at::Tensor& x, int64_t num_heads) {
  const at::Tensor joined = x.transpose(1, 2).flatten(2);
  return joined.view({joined.size(0), joined.size(1), num_heads, joined.size(2) / num_heads}).transpose(1, 2);
}

}  // namespace

DiTBlock::DiTBlock(const nn::ParameterScope& scope, const MMDiTConfig& config, Kind kind)
    : attn(scope / "attn", config, kind != Kind::without_output),
      attn2(kind == Kind::with_self_attention ? std::optional<Attention>(std::in_place, scope / "attn2", config, true)
                                              : std::nullopt),
      mlp(kind != Kind::without_output
              ? std::optional<Mlp>(std::in_place, scope / "mlp", config.hidden_size, config.mlp_size)
              : std::nullopt),
      adaLN_modulation(scope / "adaLN_modulation" / 1, config.hidden_size, num_vectors(kind) * config.hidden_size) {}

at::Tensor DiTBlock::vectors(const at::Tensor& activated_condition) const {
  return adaLN_modulation(activated_condition).unflatten(-1, {-1, adaLN_modulation.in_features()});
}

at::Tensor DiTBlock::finish(const at::Tensor& in, const at::Tensor& vectors, const at::Tensor& attention,
                            const at::Tensor& self_attention) const {
  const auto mod1 = dit::modulation(vectors, 0), mod2 = dit::modulation(vectors, 1);
  at::Tensor x = in + mod1.gate * (*attn.proj)(attention);
  if (attn2) x = x + dit::modulation(vectors, 2).gate * (*attn2->proj)(self_attention);
  return x + mod2.gate * (*mlp)(dit::modulated_norm(x, mod2.shift, mod2.scale));
}

JointBlock::JointBlock(const nn::ParameterScope& scope, const MMDiTConfig& config, bool has_self_attention,
                       bool is_last)
    : context_block(scope / "context_block", config, is_last ? DiTBlock::Kind::without_output : DiTBlock::Kind::full),
      x_block(scope / "x_block", config,
              has_self_attention ? DiTBlock::Kind::with_self_attention : DiTBlock::Kind::full),
      exchanges_heads_(config.exchanges_self_attention_heads) {}

JointBlock::Streams JointBlock::forward(const Streams& in, const at::Tensor& condition) const {
  const auto vector = [](const at::Tensor& vectors, int64_t i) { return vectors.slice(1, i, i + 1); };
  const at::Tensor c_vectors = context_block.vectors(condition);
  const auto of_context =
      context_block.attn.heads(dit::modulated_norm(in.context, vector(c_vectors, 0), vector(c_vectors, 1)));
  const at::Tensor x_vectors = x_block.vectors(condition);
  const auto of_x = x_block.attn.heads(dit::modulated_norm(in.x, vector(x_vectors, 0), vector(x_vectors, 1)));
  at::Tensor self_attention;
  if (x_block.attn2) {
    auto own = x_block.attn2->heads(dit::modulated_norm(in.x, vector(x_vectors, 6), vector(x_vectors, 7)));
    if (exchanges_heads_) {
      const int64_t width = own.q.size(3);
      own = {with_heads(own.q, width), with_heads(own.k, width), with_heads(own.v, width)};
    }
    self_attention = dit::attend(own.q, own.k, own.v);
  }
  const at::Tensor attention = dit::attend(at::cat({of_context.q, of_x.q}, 2), at::cat({of_context.k, of_x.k}, 2),
                                           at::cat({of_context.v, of_x.v}, 2));
  const int64_t num_context_tokens = in.context.size(1);
  Streams out;
  out.x = x_block.finish(in.x, x_vectors, attention.slice(1, num_context_tokens), self_attention);
  if (context_block.mlp) {
    out.context = context_block.finish(in.context, c_vectors, attention.slice(1, 0, num_context_tokens), {});
  }
  return out;
}

}  // namespace mmdit

namespace {

// Tables reach this much further than the square picture that they are for.
constexpr double kTableRatio = 1.5;
// Patches along the side of the picture that coordinates are scaled to.
constexpr double kBaseSize = 16;

// [n, size]: sinusoids of positions, sines first.
at::Tensor sinusoids(const at::Tensor& positions, int64_t size) {
  const auto options = at::TensorOptions(at::kDouble);
  const at::Tensor exponents = at::arange(size / 2, options) / (static_cast<double>(size) / 2);
  const at::Tensor angles =
      positions.unsqueeze(1) * at::reciprocal(at::pow(at::Scalar(10000.0), exponents)).unsqueeze(0);
  return at::cat({at::sin(angles), at::cos(angles)}, 1);
}

}  // namespace

ScaledPositions::ScaledPositions(std::vector<int64_t> sizes, int64_t hidden_size) : hidden_size_(hidden_size) {
  std::sort(sizes.begin(), sizes.end());
  sizes.erase(std::unique(sizes.begin(), sizes.end()), sizes.end());
  DT_CHECK(!sizes.empty(), "scaled positions without a resolution");
  for (size_t i = 0; i + 1 < sizes.size(); ++i) {
    by_area_.emplace_back((sizes[i] * sizes[i] + sizes[i + 1] * sizes[i + 1]) / 2, sizes[i]);
  }
  const double side = static_cast<double>(sizes.back()) * kTableRatio;
  by_area_.emplace_back(static_cast<int64_t>(side * side), sizes.back());
}

at::Tensor ScaledPositions::table(int64_t rows, int64_t columns) const {
  const auto found =
      std::find_if(by_area_.begin(), by_area_.end(), [&](const auto& entry) { return rows * columns <= entry.first; });
  const int64_t size = found == by_area_.end() ? by_area_.back().second : found->second;
  const auto reach = static_cast<int64_t>(static_cast<double>(size) * kTableRatio);
  return make(std::max(rows, columns) > reach ? std::max(rows, columns) : size);
}

at::Tensor ScaledPositions::make(int64_t patches) const {
  const auto size = static_cast<double>(patches);
  const auto grid = static_cast<int64_t>(size * kTableRatio);
  const auto side = static_cast<double>(grid);
  const at::Tensor index = at::arange(grid, at::TensorOptions(at::kDouble));
  const double scale = kBaseSize / size;
  const at::Tensor positions = index / side * (side * scale) - scale * (side - size) / 2;
  const at::Tensor one_axis = sinusoids(positions, hidden_size_ / 2);
  const at::Tensor by_column = one_axis.unsqueeze(0).expand({grid, grid, -1});
  const at::Tensor by_row = one_axis.unsqueeze(1).expand({grid, grid, -1});
  return at::cat({by_column, by_row}, 2).to(at::kFloat);
}

MMDiT::MMDiT(const MMDiTConfig& config, nn::ParameterReader& reader) : config_(config) {
  const nn::ParameterScope scope(reader, index_);
  const int64_t size = config.hidden_size;
  const auto embedder = [&](const char* name, int64_t in) {
    return std::make_unique<dit::Mlp>(scope / name / "mlp" / 0, scope / name / "mlp" / 2, in, size);
  };
  scope.read(pos_embed_, "pos_embed", {1, config.num_positions, size}, nn::Init::zeros);
  x_embedder_ = std::make_unique<nn::Conv2d>(scope / "x_embedder" / "proj", config.in_channels, size, config.patch_size,
                                             config.patch_size);
  t_embedder_ = embedder("t_embedder", 256);
  y_embedder_ = embedder("y_embedder", config.vector_size);
  context_embedder_ = std::make_unique<nn::Linear>(scope / "context_embedder", config.context_size, size);
  for (int64_t i = 0; i < config.num_blocks; ++i) {
    const auto n = static_cast<size_t>(i);
    const bool has_self_attention = n < config.has_self_attention.size() && config.has_self_attention[n];
    joint_blocks_.push_back(std::make_unique<mmdit::JointBlock>(scope / "joint_blocks" / i, config, has_self_attention,
                                                                i + 1 == config.num_blocks));
  }
  final_linear_ = std::make_unique<nn::Linear>(scope / "final_layer" / "linear", size,
                                               config.patch_size * config.patch_size * config.in_channels);
  final_modulation_ = std::make_unique<nn::Linear>(scope / "final_layer" / "adaLN_modulation" / 1, size, 2 * size);
}

// The aliases make the gradients of one block's uses of an input add up before they join those of other blocks, with
// and without checkpointing: both give the same bits.
mmdit::JointBlock::Streams MMDiT::run(const mmdit::JointBlock& block, const mmdit::JointBlock::Streams& in,
                                      const at::Tensor& condition) const {
  const auto out = memory_.run_forked(&block,
                                      [&block](const auto& from) {
                                        const auto streams = block.forward({from[0], from[1]}, from[2]);
                                        std::vector<at::Tensor> results = {streams.x};
                                        if (streams.context.defined()) results.push_back(streams.context);
                                        return results;
                                      },
                                      {in.context.alias(), in.x.alias(), condition.alias()});
  return {out.size() > 1 ? out[1] : at::Tensor(), out[0]};
}

nn::NamedBlocks MMDiT::blocks() const {
  nn::NamedBlocks all;
  for (size_t i = 0; i < joint_blocks_.size(); ++i) {
    all.emplace_back(fmt::format("joint_blocks.{}", i), joint_blocks_[i].get());
  }
  return all;
}

at::Tensor MMDiT::position_embedding(int64_t rows, int64_t columns, const std::optional<at::Generator>& place) const {
  at::Tensor table;
  if (scaled_positions_) {
    table = scaled_positions_->table(rows, columns).to(pos_embed_.device());
  } else {
    const auto side = static_cast<int64_t>(std::lround(std::sqrt(static_cast<double>(config_.num_positions))));
    table = pos_embed_.view({side, side, -1});
  }
  const int64_t free_rows = table.size(0) - rows, free_columns = table.size(1) - columns;
  if (free_rows < 0 || free_columns < 0) {
    fail("a picture of {}x{} patches is larger than the model's {}x{} positions", rows, columns, table.size(0),
         table.size(1));
  }
  const auto offset = [&](int64_t free) {
    if (!place) return free / 2;
    return at::randint(0, free + 1, {1}, *place, at::TensorOptions(at::kLong)).item<int64_t>();
  };
  const int64_t top = offset(free_rows);
  const int64_t left = offset(free_columns);
  return table.slice(0, top, top + rows).slice(1, left, left + columns).reshape({1, rows * columns, -1});
}

at::Tensor MMDiT::forward(const Input& input) const {
  const auto dtype = x_embedder_->dtype();
  const int64_t height = input.latents.size(2), width = input.latents.size(3), patch = config_.patch_size;
  const at::Tensor embedded = (*x_embedder_)(input.latents.to(dtype)).flatten(2).transpose(1, 2);
  const at::Tensor x = embedded + position_embedding(height / patch, width / patch, input.place).to(dtype);
  const at::Tensor time = (*t_embedder_)(nn::timestep_embedding(input.timesteps, 256).to(dtype));
  const at::Tensor condition = nn::silu(time + (*y_embedder_)(input.vector.to(dtype)));

  mmdit::JointBlock::Streams streams = {(*context_embedder_)(input.context.to(dtype)), x};
  for (const auto& block : joint_blocks_) streams = run(*block, streams, condition);

  const at::Tensor last = (*final_modulation_)(condition).unflatten(-1, {2, -1});
  const at::Tensor out = (*final_linear_)(dit::modulated_norm(streams.x, last.slice(1, 0, 1), last.slice(1, 1, 2)));
  return dit::from_patches(out, patch, height, width, /*channels_last=*/true);
}

}  // namespace difftune
