// What an adapter is to the trainer and to a model family: the layers it may sit on, its parameters, its file.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>
#include <vector>

#include "base/files.h"
#include "nn/layer.h"
#include "weights/tensor_source.h"

namespace difftune {

// A layer that an adapter can sit on, as a model family offers it.
struct AdapterTarget {
  nn::Layer* layer = nullptr;
  std::string name;   // the module's name in files, e.g. "lora_unet_down_blocks_0_attentions_0_proj_in"
  int component = 0;  // 0: the denoiser; 1, 2, 3: the text encoders in order
  // Layers that take part only where convolutions are asked for (resnets, changes of resolution).
  bool is_convolutional_block = false;
  // What a network module's arguments call it: its kind ("img_attn"), and its place in a numbered group of blocks
  // ("double_blocks").
  std::string kind = {};
  std::string group = {};
  int64_t block = -1;
  // Whether it takes part without a rank of its own.
  bool is_default = true;
  // Output features of parts that can be adapted one by one (q, k, v, MLP); empty where there are none.
  std::vector<int64_t> part_sizes = {};
};

// Parameters that share a learning rate.
struct AdapterParameterGroup {
  std::string name;  // "textencoder", "unet", "unet plus"
  std::vector<at::Tensor> parameters;
  double learning_rate = 0;
};

// Text encoders that share a learning rate.
struct TextRateGroup {
  std::string name = "textencoder";  // of the parameter group, and of its curve
  std::vector<int> components = {1};
};

// Learning rates by component; unset ones take `base`. Zero leaves a component out of the optimizer.
struct AdapterLearningRates {
  double base = 0;
  std::optional<double> denoiser;
  // One for each group; the last one holds for the groups beyond.
  std::vector<double> text_encoders;
  std::vector<TextRateGroup> text_groups = {TextRateGroup{}};
};

class Adapter {
 public:
  virtual ~Adapter() = default;

  virtual std::vector<AdapterParameterGroup> parameter_groups(const AdapterLearningRates& rates) const = 0;
  // Every parameter with its key in the file, in creation order.
  virtual std::vector<NamedTensor> parameters() const = 0;
  // What is saved: parameters and constants such as alpha.
  virtual std::vector<NamedTensor> state() const = 0;
  // Takes values from `source` for the keys it has. Throws UserError on a shape that does not fit or where no key fits.
  virtual void load(const TensorSource& source) = 0;
  // Dropout acts while training only.
  virtual void set_training(bool is_training) = 0;
  virtual void set_multiplier(double multiplier) = 0;
};

}  // namespace difftune
