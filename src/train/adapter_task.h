// Training an adapter (LoRA …) on a frozen model of any family.
#pragma once

#include <memory>

#include "adapters/lora.h"
#include "diffusion/objective.h"
#include "families/model_family.h"
#include "train/task.h"
#include "train/text_dropout.h"

namespace difftune {

struct AdapterTaskConfig {
  AdapterLearningRates learning_rates;
  bool trains_text_encoders = true;
  bool caches_text = false;  // what the text encoders say comes with the batches
  c10::Device device = c10::kCPU;
  int vae_batch_size = 1;
  double scale_weight_norms = 0;  // 0: off
  bool logs_gradient_norms = false;
  NoiseConfig noise;  // of which multires noise draws ahead
  bool reference_quirks = false;
};

class AdapterTask : public Task {
 public:
  // All must outlive the task.
  AdapterTask(ModelFamily& family, LoraNetwork& network, const Objective& objective, const AdapterTaskConfig& config);

  at::Tensor loss(const Batch& batch, const RandomSources& random) override;
  void draw_ahead(const BatchPlan& plan, const std::function<double()>& python_uniform) const override;
  std::vector<ParamGroup> parameter_groups() const override;
  std::vector<at::Tensor> clipped_parameters() const override;
  std::vector<NamedTensor> parameters() const override { return network_.parameters(); }
  void load(const TensorSource& state) override;
  void before_step() override;
  std::map<std::string, double> after_batch() override;
  void set_training(bool is_training) override { network_.set_training(is_training); }

 private:
  at::Tensor latents_of(const Batch& batch) const;
  // What the text says: cached, encoded, or encoded by the encoders that are still in memory and else cached.
  Conditioning conditioning_of(const Batch& batch, const std::function<double()>& python_uniform);
  std::vector<at::Tensor> parameters_of_silent(const DroppedRows& rows, size_t num_rows) const;

  ModelFamily& family_;
  LoraNetwork& network_;
  const Objective& objective_;
  AdapterTaskConfig config_;
  std::map<int, std::vector<at::Tensor>> text_parameters_;  // by text encoder, of those that may be dropped
  std::optional<LoraNetwork::GradientNorms> norms_;         // of the last step
};

}  // namespace difftune
