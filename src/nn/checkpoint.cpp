#include "nn/checkpoint.h"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/saved_variable.h>

#include "nn/random_state.h"

namespace difftune::nn {
namespace {

using torch::autograd::SavedVariable;
using torch::autograd::variable_list;

struct CheckpointNode : torch::autograd::Node {
  Segment segment;
  RandomState random;  // as it was when the segment ran first
  std::vector<SavedVariable> inputs;

  variable_list apply(variable_list&& grads) override {
    std::vector<at::Tensor> again;
    for (const auto& saved : inputs) {
      const at::Tensor input = saved.unpack();
      again.push_back(input.defined() ? input.detach().requires_grad_(input.requires_grad()) : at::Tensor());
    }
    const RandomState now = RandomState::capture();
    random.restore();
    at::Tensor output;
    {
      const at::AutoGradMode with_grad(true);
      output = segment(again);
    }
    now.restore();
    // Nothing to do where all that is trained in the segment was dropped (module dropout) or nothing is.
    if (!output.requires_grad()) return variable_list(again.size());
    // Gradients of parameters inside the segment go straight to the parameters.
    torch::autograd::backward({output}, {grads[0]});
    variable_list result;
    for (const auto& input : again) result.push_back(input.defined() ? input.grad() : at::Tensor());
    return result;
  }

  void release_variables() override { inputs.clear(); }
};

}  // namespace

at::Tensor checkpoint(const Segment& segment, const std::vector<at::Tensor>& inputs) {
  if (!at::GradMode::is_enabled()) return segment(inputs);
  auto node = std::make_shared<CheckpointNode>();
  node->segment = segment;
  node->random = RandomState::capture();
  node->set_next_edges(torch::autograd::collect_next_edges(inputs));
  for (const auto& input : inputs) node->inputs.emplace_back(input, false);
  at::Tensor output;
  {
    const at::NoGradGuard no_grad;
    output = segment(inputs);
  }
  torch::autograd::set_history(output, node);
  return output;
}

}  // namespace difftune::nn
