// What all optimizers share: parameter groups, which parameters a step touches, and the state that is saved.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace difftune {

// Parameters that share a learning rate. A learning-rate schedule writes `lr` between steps.
struct ParamGroup {
  std::string name;  // as logged, e.g. "unet"
  std::vector<at::Tensor> params;
  double lr = 0;
};

// "GROUP.PARAM.NAME" → tensor, e.g. "0.12.exp_avg"; GROUP and PARAM count from 0. Numbers are 0-d int64 or float64.
using OptimizerState = std::map<std::string, at::Tensor>;

class Optimizer {
 public:
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  std::vector<ParamGroup>& groups() { return groups_; }
  const std::vector<ParamGroup>& groups() const { return groups_; }

  // One update of every parameter that has a gradient, in place.
  void step();
  // Frees the gradients.
  void zero_grad();

  // Whether the optimizer works out its own learning rate, so that no schedule goes with it.
  virtual bool sets_own_lr() const { return false; }
  // The learning rate of a group for the log: its own where it has one, after the first step.
  virtual double effective_lr(size_t group) const { return groups_[group].lr; }

  // The step size that an adaptive optimizer multiplies the learning rate with ("d" in its log), if it is one.
  virtual std::optional<double> estimated_step_size() const { return std::nullopt; }

  // Tensors are shared with the optimizer, not copied: write them before the next step.
  OptimizerState state() const;
  // Copies `state` in; a following step gives the same bits as in the run that saved it. Throws UserError where the
  // state is another optimizer's or of parameters with other shapes. `source` names the file in it.
  void load_state(const OptimizerState& state, const std::string& source);

  // For the saved metadata, e.g. "torch.optim.adamw.AdamW(weight_decay=0.05)".
  const std::string& description() const { return description_; }
  void set_description(std::string description) { description_ = std::move(description); }

 protected:
  explicit Optimizer(std::vector<ParamGroup> groups);

  // State of one parameter: `tensors` in the order of state_names(), empty before its first step.
  struct ParamState {
    int64_t num_steps = 0;
    std::vector<at::Tensor> tensors;
  };
  // Parameters of one group that are stepped together: one on the CPU, where that is as fast and keeps its numbers in
  // the cache; as many as fit a limit of memory for temporaries elsewhere, where each call costs a kernel launch.
  struct Chunk {
    size_t group;
    double lr;
    std::vector<at::Tensor> params, grads;
    std::vector<ParamState*> states;
    // The state tensor `slot` of every parameter.
    std::vector<at::Tensor> tensors(size_t slot) const;
  };

  // Names of the tensors in ParamState. An optimizer may leave some undefined.
  virtual std::vector<std::string> state_names() const = 0;
  // Zeros of the right shapes, dtypes and device.
  virtual std::vector<at::Tensor> new_state(const at::Tensor& param) const = 0;
  // Called without autograd; num_steps already counts this step.
  virtual void step_chunk(const Chunk& chunk) = 0;
  // Before the first chunk and after the last one of a step, for optimizers with a state of their own.
  virtual void begin_step() {}
  virtual void end_step() {}
  // State beyond that of single parameters.
  virtual void save_extra(OptimizerState& state) const {}
  virtual void load_extra(const OptimizerState& state, const std::string& source) {}

  std::vector<std::vector<ParamState>> states_;  // [group][param]

 private:
  void step_group(size_t group);
  void load_param(size_t group, size_t param, const OptimizerState& state, const std::string& source);

  std::vector<ParamGroup> groups_;
  std::string description_;
};

// A 0-d tensor that carries a number in an OptimizerState, and back.
at::Tensor number_tensor(int64_t value);
at::Tensor number_tensor(double value);

}  // namespace difftune
