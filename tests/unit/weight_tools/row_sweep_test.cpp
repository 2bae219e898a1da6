#include "weight_tools/row_sweep.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/linalg_qr.h>
#include <ATen/ops/mv.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

namespace difftune {
namespace {

double largest(const at::Tensor& tensor) { return tensor.abs().max().item<double>(); }

TEST(RowSweep, ProductsWithTheMatrixAndItsTranspose) {
  for (const auto& [rows, columns] : {std::pair{1, 1}, {3, 15}, {4, 16}, {5, 40}, {17, 33}, {8, 100}}) {
    SCOPED_TRACE(fmt::format("{}x{}", rows, columns));
    const at::Tensor a = at::randn({rows, columns}), x = at::randn({columns}), start = at::randn({columns});
    at::Tensor y = at::zeros({rows}), z = start.clone();
    sweep_rows(a.const_data_ptr<float>(), rows, columns, x.const_data_ptr<float>(), 2, y.mutable_data_ptr<float>(),
               z.mutable_data_ptr<float>());
    EXPECT_LT(largest(y - at::mv(a, x)), 1e-4);
    EXPECT_LT(largest(z - start - 2 * at::mv(a.t(), at::mv(a, x))), 1e-3);
  }
}

TEST(RowSweep, TakesOrthonormalRowsOut) {
  const at::Tensor rows = std::get<0>(at::linalg_qr(at::randn({50, 9}))).t().contiguous();
  at::Tensor x = at::randn({50}), products = at::zeros({9});
  const at::Tensor expected = x - at::mv(rows.t(), at::mv(rows, x));
  sweep_rows(rows.const_data_ptr<float>(), 9, 50, x.const_data_ptr<float>(), -1, products.mutable_data_ptr<float>(),
             x.mutable_data_ptr<float>());
  EXPECT_LT(largest(x - expected), 1e-5);
  EXPECT_LT(largest(at::mv(rows, x)), 1e-5);
}

TEST(RowSweep, NoRows) {
  at::Tensor x = at::randn({20});
  const at::Tensor before = x.clone();
  sweep_rows(nullptr, 0, 20, x.const_data_ptr<float>(), -1, nullptr, x.mutable_data_ptr<float>());
  EXPECT_EQ(largest(x - before), 0);
}

}  // namespace
}  // namespace difftune
