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
  ForkedSegment segment;
  RandomState random;  // as it was when the segment ran first
  // An input, or its copy in main memory.
  struct Input {
    SavedVariable saved;
    at::Tensor on_cpu;
    c10::Device device = c10::kCPU;
    bool needs_gradient = false;
  };
  std::vector<Input> inputs;

  void keep(const at::Tensor& input, bool on_cpu) {
    if (!on_cpu || !input.defined() || input.is_cpu()) {
      inputs.push_back({SavedVariable(input, false), {}, c10::kCPU, false});
    } else {
      inputs.push_back({{}, input.detach().cpu(), input.device(), input.requires_grad()});
    }
  }
  static at::Tensor restored(const Input& input) {
    if (input.on_cpu.defined()) return input.on_cpu.to(input.device).requires_grad_(input.needs_gradient);
    const at::Tensor saved = input.saved.unpack();
    return saved.defined() ? saved.detach().requires_grad_(saved.requires_grad()) : at::Tensor();
  }

  variable_list apply(variable_list&& grads) override {
    std::vector<at::Tensor> again;
    for (const auto& input : inputs) again.push_back(restored(input));
    const RandomState now = RandomState::capture();
    random.restore();
    variable_list outputs;
    {
      const at::AutoGradMode with_grad(true);
      outputs = segment(again);
    }
    now.restore();
    // A result that nothing used has no gradient, and one for which nothing was trained needs none: module dropout may
    // leave out all that is trained in the segment.
    variable_list used, their_grads;
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (!grads[i].defined() || !outputs[i].requires_grad()) continue;
      used.push_back(outputs[i]);
      their_grads.push_back(grads[i]);
    }
    // Gradients of parameters inside the segment go straight to the parameters.
    if (!used.empty()) torch::autograd::backward(used, their_grads);
    variable_list result;
    for (const auto& input : again) result.push_back(input.defined() ? input.grad() : at::Tensor());
    return result;
  }

  void release_variables() override { inputs.clear(); }
};

}  // namespace

at::Tensor checkpoint(const Segment& segment, const std::vector<at::Tensor>& inputs, bool keeps_inputs_on_cpu) {
  return checkpoint_forked([segment](const auto& in) { return std::vector{segment(in)}; }, inputs,
                           keeps_inputs_on_cpu)[0];
}

std::vector<at::Tensor> checkpoint_forked(const ForkedSegment& segment, const std::vector<at::Tensor>& inputs,
                                          bool keeps_inputs_on_cpu) {
  if (!at::GradMode::is_enabled()) return segment(inputs);
  auto node = std::make_shared<CheckpointNode>();
  node->segment = segment;
  node->random = RandomState::capture();
  node->set_next_edges(torch::autograd::collect_next_edges(inputs));
  for (const auto& input : inputs) node->keep(input, keeps_inputs_on_cpu);
  variable_list outputs;
  {
    const at::NoGradGuard no_grad;
    outputs = segment(inputs);
  }
  for (auto& output : outputs) torch::autograd::set_history(output, node);
  return outputs;
}

}  // namespace difftune::nn
