#include "nn/geglu.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/gelu_backward.h>
#include <ATen/ops/mul.h>
#include <torch/csrc/autograd/custom_function.h>

namespace difftune::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Halves {
  explicit Halves(const at::Tensor& x)
      : value(x.narrow(-1, 0, x.size(-1) / 2)), gate(x.narrow(-1, x.size(-1) / 2, x.size(-1) / 2)) {}
  at::Tensor value, gate;
};

struct Geglu : torch::autograd::Function<Geglu> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x) {
    ctx->save_for_backward({x});
    const Halves halves(x);
    return at::gelu(halves.gate).mul_(halves.value);
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const at::Tensor x = ctx->get_saved_variables()[0];
    const Halves halves(x);
    const at::Tensor grad_x = at::empty_like(x);
    Halves out(grad_x);
    at::mul_out(out.value, grads[0], at::gelu(halves.gate));
    at::gelu_backward_out(out.gate, grads[0] * halves.value, halves.gate);
    return {grad_x};
  }
};

}  // namespace

at::Tensor geglu(const at::Tensor& value_and_gate) { return Geglu::apply(value_and_gate); }

}  // namespace difftune::nn
