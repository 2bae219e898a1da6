#include "weight_tools/low_rank.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linalg_qr.h>
#include <ATen/ops/linalg_svd.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <vector>

#include "base/error.h"

namespace difftune {
namespace {

at::Tensor random_normal(int64_t rows, int64_t columns, uint64_t seed) {
  return at::randn({rows, columns}, at::detail::createCPUGenerator(seed), at::TensorOptions().dtype(at::kFloat));
}

}  // namespace

TruncatedSvd svd_of_product(const at::Tensor& up, const at::Tensor& down) {
  const auto [q_up, r_up] = at::linalg_qr(up.to(at::kDouble));
  const auto [q_down, r_down] = at::linalg_qr(down.to(at::kDouble).t());
  const auto [u, s, vh] = at::linalg_svd(at::mm(r_up, r_down.t()), /*full_matrices=*/false);
  return {at::mm(q_up, u).to(at::kFloat), s.to(at::kFloat), at::mm(vh, q_down.t()).to(at::kFloat)};
}

TruncatedSvd exact_svd(const at::Tensor& matrix, int64_t rank) {
  const auto [u, s, vh] = at::linalg_svd(matrix, /*full_matrices=*/false);
  return truncated({u, s, vh}, rank);
}

TruncatedSvd truncated(const TruncatedSvd& svd, int64_t rank) {
  return {svd.u.narrow(1, 0, rank).contiguous(), svd.s.narrow(0, 0, rank).contiguous(),
          svd.vh.narrow(0, 0, rank).contiguous()};
}

void extend_with_zeros(TruncatedSvd& svd, int64_t rank, uint64_t seed) {
  const int64_t more = rank - svd.rank();
  if (more <= 0) return;
  DT_CHECK(rank <= std::min(svd.u.size(0), svd.vh.size(1)), "rank {}", rank);
  // QR keeps the first columns up to their signs, and the others span what the random ones add.
  const auto complete = [&](const at::Tensor& columns, uint64_t with_seed) {
    const at::Tensor extra = random_normal(more, columns.size(0), with_seed).t();
    return std::get<0>(at::linalg_qr(at::cat({columns, extra}, 1))).narrow(1, columns.size(1), more);
  };
  svd.u = at::cat({svd.u, complete(svd.u, seed)}, 1);
  svd.vh = at::cat({svd.vh, complete(svd.vh.t(), seed + 1).t()}, 0);
  svd.s = at::cat({svd.s, at::zeros({more}, svd.s.options())});
}

double joint_quantile(const at::Tensor& a, const at::Tensor& b, double q) {
  std::vector<float> values(a.numel() + b.numel());
  const at::Tensor first = a.to(at::kFloat).contiguous(), second = b.to(at::kFloat).contiguous();
  std::copy_n(first.const_data_ptr<float>(), first.numel(), values.begin());
  std::copy_n(second.const_data_ptr<float>(), second.numel(), values.begin() + first.numel());
  const double position = q * static_cast<double>(values.size() - 1);
  const auto index = static_cast<size_t>(position);
  std::nth_element(values.begin(), values.begin() + index, values.end());
  const float lower = values[index];
  if (index + 1 == values.size()) return lower;
  const float upper = *std::min_element(values.begin() + index + 1, values.end());
  return lower + (upper - lower) * static_cast<float>(position - static_cast<double>(index));
}

}  // namespace difftune
