#include "nn/rope.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/neg.h>
#include <ATen/ops/sin.h>
#include <ATen/ops/stack.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>

#include "base/error.h"

namespace difftune::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

// x, y: contiguous float32 [B, heads, N, d]; cos, sin: contiguous [N, d / 2].
void rotate_rows(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, float direction, at::Tensor& y) {
  const int64_t length = x.size(2), half = x.size(3) / 2;
  const float* from = x.const_data_ptr<float>();
  const float* c = cos.const_data_ptr<float>();
  const float* s = sin.const_data_ptr<float>();
  float* to = y.mutable_data_ptr<float>();
  at::parallel_for(0, x.size(0) * x.size(1) * length, 64, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t table = row % length * half, at = row * 2 * half;
      for (int64_t i = 0; i < half; ++i) {
        const float a = from[at + 2 * i], b = from[at + 2 * i + 1];
        const float cosine = c[table + i], sine = direction * s[table + i];
        to[at + 2 * i] = a * cosine - b * sine;
        to[at + 2 * i + 1] = a * sine + b * cosine;
      }
    }
  });
}

at::Tensor rotated(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, bool is_backward) {
  at::Tensor wide = x.to(at::kFloat);
  if (wide.is_cpu() && cos.dim() == 2) {
    wide = wide.contiguous();
    at::Tensor y = at::empty(wide.sizes(), wide.options());
    rotate_rows(wide, cos, sin, is_backward ? -1.F : 1.F, y);
    return y.to(x.scalar_type());
  }
  const at::Tensor c = cos.dim() == 3 ? cos.unsqueeze(1) : cos;
  const at::Tensor s = (sin.dim() == 3 ? sin.unsqueeze(1) : sin) * (is_backward ? -1 : 1);
  const at::Tensor pairs = wide.unflatten(-1, {-1, 2});
  const at::Tensor a = pairs.select(-1, 0), b = pairs.select(-1, 1);
  return at::stack({a * c - b * s, a * s + b * c}, -1).flatten(-2).to(x.scalar_type());
}

struct Rotate : Function<Rotate> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin) {
    ctx->saved_data["cos"] = cos;
    ctx->saved_data["sin"] = sin;
    return rotated(x, cos, sin, false);
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    return {rotated(grads[0], ctx->saved_data["cos"].toTensor(), ctx->saved_data["sin"].toTensor(), true), {}, {}};
  }
};

}  // namespace

Rotations rotations(const at::Tensor& positions, const std::vector<int64_t>& dims, double theta) {
  DT_CHECK(positions.size(-1) == static_cast<int64_t>(dims.size()), "{} axes, {} sizes", positions.size(-1),
           dims.size());
  std::vector<at::Tensor> angles;
  for (size_t axis = 0; axis < dims.size(); ++axis) {
    const auto options = at::TensorOptions(at::kDouble).device(positions.device());
    const at::Tensor exponents = at::arange(0, dims[axis], 2, options) / static_cast<double>(dims[axis]);
    const at::Tensor frequencies = at::exp(exponents * -std::log(theta));
    angles.push_back(positions.select(-1, static_cast<int64_t>(axis)).to(at::kDouble).unsqueeze(-1) * frequencies);
  }
  const at::Tensor all = at::cat(angles, -1);
  return {at::cos(all).to(at::kFloat).contiguous(), at::sin(all).to(at::kFloat).contiguous()};
}

at::Tensor rotate(const at::Tensor& x, const Rotations& rotations) {
  DT_CHECK(x.dim() == 4 && rotations.cos.size(-2) == x.size(2) && rotations.cos.size(-1) * 2 == x.size(3),
           "rotations of {} positions for {}", rotations.cos.size(-2), x.size(2));
  return Rotate::apply(x, rotations.cos, rotations.sin);
}

}  // namespace difftune::nn
