// What is trained: the seam between the one training loop and adapters, whole models, embeddings and control networks.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "data/dataset_group.h"
#include "diffusion/noise.h"
#include "optim/optimizer.h"
#include "weights/tensor_source.h"

namespace difftune {

class Task {
 public:
  virtual ~Task() = default;

  // The mean loss of a batch, differentiable with respect to the parameters. Draws from `random` only.
  virtual at::Tensor loss(const Batch& batch, const RandomSources& random) = 0;

  // Draws what loss() will take from RandomSources::python_uniform for a batch of this plan: the numbers come from the
  // generator that draws captions, which is batches ahead.
  virtual void draw_ahead(const BatchPlan& plan, const std::function<double()>& python_uniform) const = 0;

  // What the optimizer updates, with learning rates.
  virtual std::vector<ParamGroup> parameter_groups() const = 0;
  // What gradient clipping takes the norm of.
  virtual std::vector<at::Tensor> clipped_parameters() const = 0;
  // Everything that is trained, by key, for saved states.
  virtual std::vector<NamedTensor> parameters() const = 0;
  // Puts a state's values back. Throws UserError where it is of another shape.
  virtual void load(const TensorSource& state) = 0;

  // Before each step of the optimizer, when gradients are complete and clipped.
  virtual void before_step() {}
  // After each batch; returns values to log by tag, none by default.
  virtual std::map<std::string, double> after_batch() { return {}; }
  // Dropout acts while training only.
  virtual void set_training(bool is_training) = 0;
};

}  // namespace difftune
