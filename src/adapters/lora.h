// LoRA (arXiv:2106.09685): a frozen layer's output plus a trained low-rank product, for Linear and Conv2d.
#pragma once

#include <ATen/core/Generator.h>

#include <map>
#include <memory>

#include "adapters/adapter.h"

namespace difftune {

class LoraModule;

struct LoraConfig {
  int64_t rank = 4;
  double alpha = 1;
  // The reference keeps an alpha that was not given as an integer, and files show it.
  bool alpha_is_integer = false;
  // Rank and alpha of convolutions larger than 1x1; without a rank they, and the blocks made of them, are left alone.
  std::optional<int64_t> conv_rank;
  double conv_alpha = 1;
  std::optional<double> dropout, rank_dropout, module_dropout;
  // Without conv_rank: also the Linear layers and 1x1 convolutions of convolutional blocks.
  bool enters_convolutional_blocks = false;
  // Learning rate of the up matrices as a multiple of the others' (LoRA+, arXiv:2402.12354).
  std::optional<double> plus_ratio, denoiser_plus_ratio, text_encoder_plus_ratio;
  bool train_denoiser = true;
  bool train_text_encoders = true;
  // Ranks and alphas by module name, e.g. from a file; modules that are not named are not created.
  std::optional<std::map<std::string, std::pair<int64_t, double>>> dims_by_module;

  // Ranks by kind of layer; 0 leaves one out. Layers that are not default need one.
  std::map<std::string, int64_t> rank_by_kind;
  // Replaces these, where there are any.
  std::map<std::string, int64_t> other_rank_by_kind;
  // Regular expressions that are searched in module names, the first that is found counts, before all other ranks.
  std::vector<std::pair<std::string, int64_t>> rank_by_pattern;
  std::vector<std::pair<std::string, double>> rate_by_pattern;
  // Groups of blocks that take part, where only some do, and in a group the ranges of numbers, both ends included.
  using BlockRanges = std::vector<std::pair<int64_t, int64_t>>;
  std::optional<std::vector<std::string>> groups;
  std::map<std::string, BlockRanges> blocks_by_group;
  // Adapts the parts of a fused layer one by one, each with the rank; files hold them as one of the summed rank.
  bool splits_qkv = false;
  // Gradient-guided perturbation: while training, random changes of the weight are added that grow with its norm
  // (sigma) and with its gradient (beta). Both or none.
  std::optional<double> ggpo_sigma, ggpo_beta;
  // Lists the modules that are created and left out.
  bool is_verbose = false;
  // Norms of gradients in the precision of the reference, and alphas of split modules as it writes them.
  bool reference_quirks = false;
};

// Ranks and alphas of the modules in a LoRA file.
std::map<std::string, std::pair<int64_t, double>> lora_dims(const TensorSource& file);

// Adds multiplier × (alpha / rank) up·down of every module of a LoRA file to the weight of the target of that name, in
// fp32 with one rounding to the dtype that the layer computes in. Targets that are not loaded are left out. Returns
// the number of modules merged; throws UserError where it is none.
int64_t merge_lora_into(const TensorSource& file, const std::vector<AdapterTarget>& targets, double multiplier);

// Draws what the reference draws when it makes a network of a LoRA file only to merge it: the initial values, which it
// then overwrites. Keeps the draws that follow in step.
void draw_unused_initial_values(const TensorSource& file, const std::vector<AdapterTarget>& targets,
                                const at::Generator& generator);

// The text encoders (AdapterTarget::component, rising) on which a network of this configuration has trained modules.
std::vector<int> adapted_text_encoders(const LoraConfig& config, const std::vector<AdapterTarget>& targets);

class LoraNetwork : public Adapter {
 public:
  // Creates a module on every target that `config` selects and puts it into the layer's slot. Initial values are drawn
  // from `generator` in the reference's order: for each module in target order down, up and down again; also for
  // modules that training leaves out. Down is uniform within 1 / sqrt(fan-in), up is zero.
  LoraNetwork(const LoraConfig& config, const std::vector<AdapterTarget>& targets, at::Generator generator,
              c10::Device device, c10::ScalarType dtype = c10::ScalarType::Float);
  ~LoraNetwork() override;

  std::vector<AdapterParameterGroup> parameter_groups(const AdapterLearningRates& rates) const override;
  std::vector<NamedTensor> parameters() const override;
  std::vector<NamedTensor> state() const override;
  void load(const TensorSource& source) override;
  void set_training(bool is_training) override;
  void set_multiplier(double multiplier) override;

  // How many modules sit on the denoiser (component 0) or on a text encoder.
  int64_t num_modules(int component) const;
  int64_t num_parameters() const;

  struct WeightNorms {
    int64_t num_scaled = 0;
    double mean = 0, max = 0;
  };
  // Scales every module down whose change has a norm above `max_norm` (--scale_weight_norms).
  WeightNorms limit_weight_norms(double max_norm);
  // Whether perturbations depend on the gradients (observe_gradients must be called before each step).
  bool is_perturbed() const { return config_.ggpo_sigma && config_.ggpo_beta; }
  // Mean over the modules of their mean row norms: of the gradient of the weight as far as the LoRA knows it, and with
  // perturbations of the LoRA's change and of the changed weight. To be called with clipped gradients.
  struct GradientNorms {
    double gradient = 0;
    std::optional<double> change, weight;
  };
  GradientNorms observe_gradients();
  // Frobenius norm of each module's change up·down × alpha / rank, by name.
  std::vector<std::pair<std::string, double>> change_norms() const;

 private:
  std::vector<std::unique_ptr<LoraModule>> modules_;
  LoraConfig config_;
};

}  // namespace difftune
