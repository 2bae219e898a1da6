#include "nn/attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <gtest/gtest.h>

#include <vector>

#include "nn/bfloat16_attention.h"
#include "nn/random_state.h"

namespace difftune::nn {
namespace {

struct Sizes {
  int64_t batch, num_heads, num_queries, num_keys, head_size;
};

// The output and the gradients of q, k and v.
template <typename Attend>
std::vector<at::Tensor> run(const Attend& attend, at::TensorList inputs, const at::Tensor& grad) {
  std::vector<at::Tensor> leaves;
  for (const at::Tensor& input : inputs) leaves.push_back(input.detach().clone().requires_grad_(true));
  const at::Tensor out = attend(leaves[0], leaves[1], leaves[2]);
  out.backward(grad);
  return {out.detach(), leaves[0].grad(), leaves[1].grad(), leaves[2].grad()};
}

double distance(const at::Tensor& a, const at::Tensor& b) {
  return ((a.to(at::kDouble) - b).norm() / b.norm()).item<double>();
}

class AttentionOfSizes : public testing::TestWithParam<Sizes> {};

// About as near to attention in double precision as LibTorch's in bf16 is, where many terms even out.
TEST_P(AttentionOfSizes, InBFloat16AgreesWithDouble) {
  const auto [batch, num_heads, num_queries, num_keys, head_size] = GetParam();
  seed_generators(7);
  const auto heads = [&](int64_t count) {
    return at::randn({batch, count, num_heads, head_size}).to(at::kBFloat16).transpose(1, 2);
  };
  const at::Tensor q = heads(num_queries) * 2, k = heads(num_keys), v = heads(num_keys), grad = heads(num_queries);
  if (!bfloat16_attention_pays(q, k, v)) GTEST_SKIP() << "no bf16 instructions";
  const auto theirs = [](const at::Tensor& a, const at::Tensor& b, const at::Tensor& c) {
    return at::scaled_dot_product_attention(a, b, c);
  };
  const auto ours = [](const at::Tensor& a, const at::Tensor& b, const at::Tensor& c) {
    return attention_of_heads(a, b, c);
  };
  const auto exact = run(theirs, {q.to(at::kDouble), k.to(at::kDouble), v.to(at::kDouble)}, grad.to(at::kDouble));
  const auto plain = run(theirs, {q, k, v}, grad), fast = run(ours, {q, k, v}, grad);
  for (size_t i = 0; i < exact.size(); ++i) {
    EXPECT_EQ(fast[i].sizes(), exact[i].sizes());
    if (num_keys >= 64) {
      EXPECT_LT(distance(fast[i], exact[i]), 1.1 * distance(plain[i], exact[i])) << "result " << i;
    }
    EXPECT_LT(distance(fast[i], exact[i]), 6e-3) << "result " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Attention, AttentionOfSizes,
                         testing::Values(Sizes{1, 8, 1024, 1024, 40},  // self-attention of SD 1.x
                                         Sizes{2, 3, 64, 77, 80},      // an odd number of keys
                                         Sizes{1, 2, 79, 33, 64},      // and of queries
                                         Sizes{1, 3, 3, 5, 6}, Sizes{1, 5, 600, 130, 160},
                                         Sizes{1, 1, 300, 300, 512}));  // the autoencoder's

TEST(Attention, InBFloat16TakesStridesAndAScale) {
  seed_generators(8);
  const at::Tensor qkv = at::randn({1, 40, 3, 4, 24}).to(at::kBFloat16);  // [B, N, 3, heads, d]
  const at::Tensor q = qkv.select(2, 0).transpose(1, 2), k = qkv.select(2, 1).transpose(1, 2);
  const at::Tensor v = qkv.select(2, 2).transpose(1, 2);
  if (!bfloat16_attention_pays(q, k, v)) GTEST_SKIP() << "no bf16 instructions";
  const at::Tensor expected =
      at::scaled_dot_product_attention(q.to(at::kDouble), k.to(at::kDouble), v.to(at::kDouble), {}, 0.0, false, 0.5);
  EXPECT_LT(distance(attention_of_heads(q, k, v, {}, false, 0.5), expected), 4e-3);
  const at::Tensor across = v.transpose(2, 3).contiguous().transpose(2, 3);
  EXPECT_LT(distance(attention_of_heads(q, k, across, {}, false, 0.5), expected), 4e-3);
}

TEST(Attention, IsLibTorchsInFp32) {
  seed_generators(9);
  const at::Tensor q = at::randn({1, 6, 8}), k = at::randn({1, 5, 8}), v = at::randn({1, 5, 8});
  const auto heads = [](const at::Tensor& x) { return x.view({1, x.size(1), 2, 4}).transpose(1, 2); };
  const at::Tensor expected = at::scaled_dot_product_attention(heads(q), heads(k), heads(v));
  EXPECT_EQ(distance(attention(q, k, v, 2), expected.transpose(1, 2).reshape({1, 6, 8}).to(at::kDouble)), 0);
}

}  // namespace
}  // namespace difftune::nn
