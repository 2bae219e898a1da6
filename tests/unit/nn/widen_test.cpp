#include "nn/widen.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/nan_to_num.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

namespace difftune::nn {
namespace {

// Every pattern of 16 bits but the NaNs, in rows that leave a rest after full vectors.
TEST(Widen, IsExactForEveryValue) {
  for (const auto dtype : {at::kHalf, at::kBFloat16}) {
    const at::Tensor all = at::arange(0, 65536, at::kInt).to(at::kShort).view(dtype);
    const at::Tensor values = at::where(all.isnan(), at::zeros_like(all), all).narrow(0, 0, 65520).view({-1, 45});
    at::Tensor wide = at::empty(values.sizes(), at::kFloat);
    widen_rows(values, wide);
    EXPECT_TRUE(at::equal(wide, values.to(at::kFloat)));
    at::Tensor bfloat16 = at::empty(values.sizes(), at::kBFloat16);
    widen_rows(values, bfloat16);
    EXPECT_TRUE(at::equal(bfloat16, values.to(at::kBFloat16)));
  }
}

// To the bit, NaNs included, at every place of a vector and in the rest behind.
TEST(Widen, Float8IsExactForEveryValue) {
  const at::Tensor all = at::arange(0, 256, at::kInt).to(at::kByte).repeat({9}).narrow(0, 0, 2288).view({-1, 143});
  const at::Tensor values = all.view(at::kFloat8_e4m3fn);
  at::Tensor wide = at::empty(values.sizes(), at::kFloat);
  widen_rows(values, wide);
  EXPECT_TRUE(at::equal(wide.view(at::kInt), values.to(at::kFloat).view(at::kInt)));
  at::Tensor bfloat16 = at::empty(values.sizes(), at::kBFloat16);
  widen_rows(values, bfloat16);
  const at::Tensor expected = wide.to(at::kBFloat16);
  EXPECT_TRUE(at::equal(bfloat16.isnan(), expected.isnan()));
  EXPECT_TRUE(at::equal(bfloat16.nan_to_num(), expected.nan_to_num()));
}

TEST(Widen, TakesStridedRowsAndOtherDtypes) {
  const at::Tensor table = at::arange(0, 400, at::kFloat).view({10, 40});
  for (const auto dtype : {at::kHalf, at::kFloat8_e4m3fn, at::kFloat}) {
    const at::Tensor part = table.to(dtype).narrow(1, 3, 21);
    at::Tensor wide = at::empty(part.sizes(), at::kFloat);
    widen_rows(part, wide);
    EXPECT_TRUE(at::equal(wide, part.to(at::kFloat)));
  }
}

}  // namespace
}  // namespace difftune::nn
