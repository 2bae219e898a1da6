#include "optim/optimizer.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <c10/core/GradMode.h>
#include <fmt/ranges.h>

#include "base/error.h"

namespace difftune {
namespace {

constexpr int64_t max_chunk_bytes = int64_t{64} << 20;

std::string key(size_t group, size_t param, const std::string& name) {
  return fmt::format("{}.{}.{}", group, param, name);
}

std::string shape_text(const at::Tensor& tensor) {
  return fmt::format("[{}]", fmt::join(tensor.sizes().begin(), tensor.sizes().end(), ", "));
}

}  // namespace

at::Tensor number_tensor(int64_t value) { return at::full({}, value, at::TensorOptions(at::kLong)); }
at::Tensor number_tensor(double value) { return at::full({}, value, at::TensorOptions(at::kDouble)); }

Optimizer::Optimizer(std::vector<ParamGroup> groups) : groups_(std::move(groups)) {
  size_t num_params = 0;
  for (const ParamGroup& group : groups_) {
    states_.emplace_back(group.params.size());
    num_params += group.params.size();
    if (!(group.lr >= 0)) fail("learning rate of '{}' is {}, expected 0 or more", group.name, group.lr);
  }
  if (num_params == 0) fail("there is nothing to train: no parameter is left for the optimizer");
}

std::vector<at::Tensor> Optimizer::Chunk::tensors(size_t slot) const {
  std::vector<at::Tensor> result;
  result.reserve(states.size());
  for (const ParamState* state : states) result.push_back(state->tensors[slot]);
  return result;
}

void Optimizer::step() {
  const c10::AutoGradMode no_grad(false);
  begin_step();
  for (size_t group = 0; group < groups_.size(); ++group) step_group(group);
  end_step();
}

void Optimizer::step_group(size_t group) {
  Chunk chunk{group, groups_[group].lr, {}, {}, {}};
  int64_t num_bytes = 0;
  const auto flush = [&] {
    if (!chunk.params.empty()) step_chunk(chunk);
    chunk.params.clear(), chunk.grads.clear(), chunk.states.clear();
    num_bytes = 0;
  };
  const std::vector<at::Tensor>& params = groups_[group].params;
  for (size_t i = 0; i < params.size(); ++i) {
    const at::Tensor& grad = params[i].grad();
    if (!grad.defined()) continue;
    ParamState& state = states_[group][i];
    if (state.tensors.empty()) state.tensors = new_state(params[i]);
    ++state.num_steps;
    chunk.params.push_back(params[i]);
    chunk.grads.push_back(grad);
    chunk.states.push_back(&state);
    num_bytes += static_cast<int64_t>(params[i].nbytes());
    if (params[i].is_cpu() || num_bytes >= max_chunk_bytes) flush();
  }
  flush();
}

void Optimizer::zero_grad() {
  for (ParamGroup& group : groups_) {
    for (at::Tensor& param : group.params) param.mutable_grad().reset();
  }
}

OptimizerState Optimizer::state() const {
  OptimizerState result;
  const std::vector<std::string> names = state_names();
  for (size_t group = 0; group < groups_.size(); ++group) {
    for (size_t i = 0; i < states_[group].size(); ++i) {
      const ParamState& state = states_[group][i];
      if (state.tensors.empty()) continue;
      result.emplace(key(group, i, "step"), number_tensor(state.num_steps));
      for (size_t slot = 0; slot < names.size(); ++slot) {
        if (state.tensors[slot].defined()) result.emplace(key(group, i, names[slot]), state.tensors[slot]);
      }
    }
  }
  save_extra(result);
  return result;
}

void Optimizer::load_state(const OptimizerState& state, const std::string& source) {
  const c10::AutoGradMode no_grad(false);
  for (size_t group = 0; group < groups_.size(); ++group) {
    for (size_t i = 0; i < groups_[group].params.size(); ++i) load_param(group, i, state, source);
  }
  load_extra(state, source);
  const OptimizerState loaded = this->state();
  for (const auto& [name, tensor] : state) {
    if (!loaded.contains(name)) {
      fail(
          "{}: optimizer state '{}' has no place in this run: resume with the optimizer and settings it was saved with",
          source, name);
    }
  }
}

void Optimizer::load_param(size_t group, size_t param, const OptimizerState& state, const std::string& source) {
  ParamState& own = states_[group][param];
  own = {};
  const auto step = state.find(key(group, param, "step"));
  if (step == state.end()) return;  // it had no gradient yet
  if (step->second.numel() != 1) fail("{}: optimizer state '{}' is not one number", source, step->first);
  own.num_steps = step->second.item<int64_t>();
  own.tensors = new_state(groups_[group].params[param]);
  const std::vector<std::string> names = state_names();
  for (size_t slot = 0; slot < names.size(); ++slot) {
    at::Tensor& target = own.tensors[slot];
    if (!target.defined()) continue;
    const auto saved = state.find(key(group, param, names[slot]));
    if (saved == state.end()) {
      fail("{}: '{}' is missing, so the state is of another optimizer than {}: resume with the one it was saved with",
           source, key(group, param, names[slot]), description_);
    }
    if (saved->second.sizes() != target.sizes()) {
      fail("{}: optimizer state '{}' has shape {}, this run needs {}: resume with the same network settings", source,
           saved->first, shape_text(saved->second), shape_text(target));
    }
    target.copy_(saved->second);
  }
}

}  // namespace difftune
