// LoRA files on a model that is not trained: any number on one layer, each with a strength that can be changed.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <vector>

#include "adapters/adapter.h"

namespace difftune {

// A layer's output becomes W x + b + sum of multiplier × (alpha / rank) up (down x) over the files.
//
// A layer that was attached to must not run once the stack is gone.
class LoraStack {
 public:
  // Returns the file's number.
  size_t add(std::shared_ptr<const TensorSource> file, double multiplier);
  void set_multiplier(size_t file, double multiplier) { multipliers_->at(file) = multiplier; }
  size_t num_files() const { return files_.size(); }

  // Puts what the files have for these targets into the layers' slots, in the dtype and on the device of the layer.
  // Targets that are not loaded are left out. Throws UserError where shapes do not fit.
  void attach(const std::vector<AdapterTarget>& targets);

 private:
  class Slot;

  std::vector<std::shared_ptr<const TensorSource>> files_;
  // Shared with the slots.
  std::shared_ptr<std::vector<double>> multipliers_ = std::make_shared<std::vector<double>>();
  std::map<std::string, std::unique_ptr<nn::LayerAdapter>> slots_;  // by module
};

}  // namespace difftune
