#include "weight_tools/adapter_change.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/einsum.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/kron.h>
#include <ATen/ops/linalg_inv.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/scalar_tensor.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace difftune {
namespace {

using Part = AdapterPart;

int64_t columns_of(const std::vector<int64_t>& shape) {
  int64_t columns = 1;
  for (size_t i = 1; i < shape.size(); ++i) columns *= shape[i];
  return columns;
}

// The factor `w1` or `w2` of a Kronecker product, which may itself be a product.
at::Tensor lokr_factor(const AdapterFile& file, const AdapterModule& module, Part whole, Part a, Part b, Part t,
                       c10::ScalarType dtype) {
  if (module.has(whole)) return file.tensor(module, whole, dtype);
  const at::Tensor left = file.tensor(module, a, dtype), right = file.tensor(module, b, dtype);
  if (t != Part::num_parts && module.has(t)) {
    return at::einsum("ijkl,jr,ip->prkl", {file.tensor(module, t, dtype), right, left});
  }
  return at::mm(left, right.flatten(1)).reshape([&] {
    std::vector<int64_t> shape = right.sizes().vec();
    shape[0] = left.size(0);
    return shape;
  }());
}

at::Tensor loha_factor(const AdapterFile& file, const AdapterModule& module, Part a, Part b, Part t,
                       c10::ScalarType dtype) {
  const at::Tensor left = file.tensor(module, a, dtype), right = file.tensor(module, b, dtype);
  if (!module.has(t)) return at::mm(left, right);
  return at::einsum("ijkl,jr,ip->prkl", {file.tensor(module, t, dtype), right, left}).flatten(1);
}

at::Tensor kronecker(at::Tensor w1, const at::Tensor& w2) {
  while (w1.dim() < w2.dim()) w1 = w1.unsqueeze(-1);
  return at::kron(w1, w2.contiguous()).flatten(1);
}

// R = (I + Q)(I - Q)^-1 of the skew-symmetric Q, whose norm is at most alpha × out.
at::Tensor cayley_rotation(const AdapterFile& file, const AdapterModule& module, int64_t rows, c10::ScalarType dtype) {
  const at::Tensor blocks = file.tensor(module, Part::oft_blocks, dtype);
  at::Tensor q = blocks - blocks.transpose(1, 2);
  const double limit = file.alpha(module).value_or(0) * static_cast<double>(rows);
  const at::Tensor norm = at::linalg_vector_norm(q);
  q = q * ((norm.clamp_max(limit) + 1e-8) / (norm + 1e-8));
  const at::Tensor identity = at::eye(q.size(1), q.options()).unsqueeze(0);
  return at::matmul(identity + q, at::linalg_inv(identity - q));
}

double scale_of(const AdapterFile& file, const AdapterModule& module, c10::ScalarType dtype) {
  const int64_t rank = file.rank(module);
  const auto alpha = file.alpha(module);
  if (!alpha || rank == 0 || module.kind == AdapterKind::oft) return 1;
  return (at::scalar_tensor(*alpha, dtype) / rank).item<double>();
}

// Norms along the axis that `magnitude` does not span, in the shape that multiplies `matrix` [out, in, k·k].
at::Tensor norms_like(const at::Tensor& magnitude, const at::Tensor& weight, at::Tensor& target) {
  const bool is_per_output = magnitude.size(0) == weight.size(0) && magnitude.numel() == weight.size(0);
  target = is_per_output ? magnitude.reshape({-1, 1, 1}) : magnitude.reshape({1, -1, 1});
  const std::vector<int64_t> reduced = is_per_output ? std::vector<int64_t>{1, 2} : std::vector<int64_t>{0, 2};
  return at::linalg_vector_norm(weight, 2, reduced, /*keepdim=*/true);
}

}  // namespace

void check_fits(const AdapterFile& file, const AdapterModule& module, const std::string& weight_key, int64_t rows,
                const std::vector<int64_t>& weight_shape) {
  const int64_t columns = columns_of(weight_shape);
  const auto refuse = [&](Part part) {
    const std::string of = rows == weight_shape[0] ? "" : fmt::format("{} rows of ", rows);
    fail("{}: {} [{}] does not fit {}{} [{}]: the LoRA was made for another model", file.path().string(),
         module.key(part), fmt::join(file.info(module, part).shape, ", "), of, weight_key,
         fmt::join(weight_shape, ", "));
  };
  const auto shape = [&](Part part) { return file.info(module, part).shape; };
  switch (module.kind) {
    case AdapterKind::lora: {
      const auto up = shape(Part::up), down = shape(Part::down);
      const int64_t inside = module.has(Part::mid) ? columns / weight_shape[1] : 1;
      if (up[0] != rows || columns_of(up) != up[1]) refuse(Part::up);
      if (columns_of(down) * inside != columns) refuse(Part::down);
      return;
    }
    case AdapterKind::loha: {
      const auto a = shape(Part::hada_w1_a), b = shape(Part::hada_w1_b);
      const bool is_tucker = module.has(Part::hada_t1);
      if (a.size() != 2 || a[is_tucker ? 1 : 0] != rows) refuse(Part::hada_w1_a);
      if (b.size() != 2 || b[1] != (is_tucker ? weight_shape[1] : columns)) refuse(Part::hada_w1_b);
      return;
    }
    case AdapterKind::oft: {
      const auto blocks = shape(Part::oft_blocks);
      if (blocks[0] * blocks[1] != rows) refuse(Part::oft_blocks);
      return;
    }
    case AdapterKind::full: {
      const auto full = shape(Part::full);
      if (full.empty() || full[0] != rows || columns_of(full) != columns) refuse(Part::full);
      return;
    }
    case AdapterKind::lokr: {
      const auto sizes = [&](Part whole, Part a, Part b, Part t) {
        if (module.has(whole)) return std::pair(shape(whole)[0], columns_of(shape(whole)));
        const bool is_tucker = t != Part::num_parts && module.has(t);
        return std::pair(shape(a)[is_tucker ? 1 : 0],
                         is_tucker ? shape(b)[1] * columns_of(shape(t)) / shape(t)[1] : columns_of(shape(b)));
      };
      const auto w1 = sizes(Part::lokr_w1, Part::lokr_w1_a, Part::lokr_w1_b, Part::num_parts);
      const auto w2 = sizes(Part::lokr_w2, Part::lokr_w2_a, Part::lokr_w2_b, Part::lokr_t2);
      if (w1.first * w2.first != rows || w1.second * w2.second != columns) {
        refuse(module.has(Part::lokr_w1) ? Part::lokr_w1 : Part::lokr_w1_a);
      }
      return;
    }
  }
}

WeightChange read_change(const AdapterFile& file, const AdapterModule& module, int64_t rows, c10::ScalarType dtype) {
  WeightChange change;
  change.scale = scale_of(file, module, dtype);
  if (module.has(Part::magnitude)) change.magnitude = file.tensor(module, Part::magnitude, dtype);
  switch (module.kind) {
    case AdapterKind::lora:
      change.up = file.tensor(module, Part::up, dtype).flatten(1);
      change.down = file.tensor(module, Part::down, dtype);
      if (module.has(Part::mid)) {
        change.down = at::einsum("abkl,bn->ankl", {file.tensor(module, Part::mid, dtype), change.down.flatten(1)});
      }
      change.down = change.down.flatten(1);
      break;
    case AdapterKind::loha:
      change.whole = loha_factor(file, module, Part::hada_w1_a, Part::hada_w1_b, Part::hada_t1, dtype)
                         .mul_(loha_factor(file, module, Part::hada_w2_a, Part::hada_w2_b, Part::hada_t2, dtype));
      break;
    case AdapterKind::lokr:
      change.whole =
          kronecker(lokr_factor(file, module, Part::lokr_w1, Part::lokr_w1_a, Part::lokr_w1_b, Part::num_parts, dtype),
                    lokr_factor(file, module, Part::lokr_w2, Part::lokr_w2_a, Part::lokr_w2_b, Part::lokr_t2, dtype));
      break;
    case AdapterKind::oft:
      change.rotation = cayley_rotation(file, module, rows, dtype);
      break;
    case AdapterKind::full:
      change.whole = file.tensor(module, Part::full, dtype).flatten(1);
      break;
  }
  return change;
}

ScaledProduct low_rank_product(const WeightChange& change, double ratio, int64_t first_row, int64_t num_rows) {
  // A power of two rounds nothing.
  int exponent = 0;
  const bool is_exact = std::abs(std::frexp(change.scale, &exponent)) == 0.5;
  return {at::mm(change.up.narrow(0, first_row, num_rows), change.down), is_exact ? ratio * change.scale : ratio,
          is_exact ? 1 : change.scale};
}

void add_low_rank(const WeightChange& change, double ratio, int64_t first_row, at::Tensor weight) {
  auto [product, first, second] = low_rank_product(change, ratio, first_row, weight.size(0));
  // Not mul_(), which rounds a number to the tensor's precision first.
  if (first != 1) product = product * first;
  if (second != 1) product = product * second;
  weight.add_(product);
}

void apply_change(const WeightChange& change, double ratio, at::Tensor weight) {
  const at::Tensor matrix = weight.flatten(1);  // a view: the caller's weight is contiguous
  if (change.rotation.defined()) {
    const at::Tensor identity = at::eye(change.rotation.size(1), change.rotation.options());
    const at::Tensor rotation = ratio == 1 ? change.rotation : change.rotation * ratio + identity * (1 - ratio);
    const at::Tensor blocks = matrix.reshape({rotation.size(0), rotation.size(1), -1});
    matrix.copy_(at::matmul(rotation.transpose(1, 2), blocks).reshape(matrix.sizes()));
    return;
  }
  if (!change.magnitude.defined()) {
    if (change.up.defined()) return add_low_rank(change, ratio, 0, matrix);
    matrix.add_(change.whole * ratio * change.scale);
    return;
  }
  // DoRA: direction and norm are changed apart; a ratio leads from the old weight to the new one.
  at::Tensor changed = weight.reshape({weight.size(0), weight.size(1), -1}).clone();  // [out, in, k·k]
  WeightChange direction = change;
  direction.magnitude = at::Tensor();
  apply_change(direction, 1, changed.flatten(1));
  at::Tensor target;
  const at::Tensor norms = norms_like(change.magnitude, changed, target);
  changed.mul_(target / (norms + 1.1920929e-07));  // LyCORIS keeps the division from zero like this
  matrix.add_((changed.flatten(1) - matrix) * ratio);
}

}  // namespace difftune
