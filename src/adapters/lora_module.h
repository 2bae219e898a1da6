// One LoRA in the slot of one layer; see adapters/lora.h.
#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <optional>

#include "adapters/lora.h"

namespace difftune {

// A convolution with a kernel above 1x1.
bool is_large_conv(const nn::Layer& layer);

class LoraModule : public nn::LayerAdapter {
 public:
  // Draws initial values from `generator`. An alpha of 0 means the rank.
  LoraModule(const AdapterTarget& target, const LoraConfig& config, int64_t rank, double alpha,
             at::Generator generator);

  void attach(c10::Device device, c10::ScalarType dtype);
  void detach();
  at::Tensor forward(const nn::Layer& layer, const at::Tensor& input) override;

  const AdapterTarget& target() const { return target_; }
  const std::string& name() const { return target_.name; }
  double alpha() const { return alpha_; }
  int64_t rank() const { return rank_; }
  double scale() const { return multiplier * alpha_ / static_cast<double>(rank_); }

  // The parameters. A layer that is adapted in n parts has n ranks: down is [n rank, in], and up holds the parts' rows
  // below each other, [out, rank].
  at::Tensor& down() { return down_; }
  at::Tensor& up() { return up_; }
  // Up as it multiplies down, [out, n rank]: the parts of a split layer on the diagonal. Differentiable.
  at::Tensor full_up() const { return on_diagonal(up_); }
  // The inverse: up as the parameter has it, out of one in either form.
  at::Tensor parts_of(const at::Tensor& up) const;

  // Programs that load a file divide alpha by its rank, which is n times ours.
  double alpha_in_file() const { return alpha_ * file_factor(); }
  void set_alpha_of_file(double alpha) { alpha_ = alpha / file_factor(); }

  struct Norms {
    double gradient;
    std::optional<double> change, weight;
  };
  // Mean row norms, and what the next perturbation depends on. Nothing where there are no gradients.
  std::optional<Norms> observe_gradient();

  bool is_training = true;
  double multiplier = 1;

 private:
  at::Tensor on_diagonal(const at::Tensor& up) const;
  at::Tensor fused_forward(const nn::Layer& layer, const at::Tensor& input) const;
  at::Tensor dropped_forward(const nn::Layer& layer, const at::Tensor& input) const;
  at::Tensor apply_down(const nn::Layer& layer, const at::Tensor& input) const;
  at::Tensor drop(at::Tensor hidden) const;
  at::Tensor perturbation(const at::Tensor& input) const;
  size_t num_parts() const { return part_sizes_.empty() ? 1 : part_sizes_.size(); }
  double file_factor() const { return config_.reference_quirks ? 1.0 : static_cast<double>(num_parts()); }
  void estimate_weight_norm(const at::Generator& generator);

  AdapterTarget target_;
  const LoraConfig& config_;
  int64_t rank_;
  double alpha_;
  std::vector<int64_t> part_sizes_;  // empty: the layer is adapted as a whole
  at::Tensor down_, up_;

  double weight_norm_ = 0;                 // mean norm of the weight's rows
  at::Tensor changed_norms_, grad_norms_;  // [out, 1], after the last step
};

}  // namespace difftune
