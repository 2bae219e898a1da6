// The difference of two checkpoints as a LoRA.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "weights/tensor_source.h"

namespace difftune {

struct ExtractRules {
  int64_t rank = 4;
  std::optional<int64_t> conv_rank;  // of kernels larger than 1x1; without it they, and residual blocks, are left out
  double clamp_quantile = 0.99;
  // Text encoders are left out where no value of theirs differs by more.
  double min_diff = 0.01;
  std::optional<c10::ScalarType> load_dtype;  // both models are rounded to it before they are compared
  c10::ScalarType save_dtype = c10::ScalarType::Float;
  std::optional<c10::ScalarType> alpha_dtype = c10::ScalarType::Float;  // none: integers
  bool exact = false;                                                   // LAPACK's SVD of every layer
  // Which modules of the checkpoint (by sd-scripts' name) are taken, or those that a LoRA for SD or SDXL has.
  enum class Modules { sd_lora, dit_blocks } modules = Modules::sd_lora;
};

struct ExtractedLora {
  std::vector<NamedTensor> tensors;
  size_t num_modules = 0, num_exact = 0;
  bool has_text_encoders = false;
  double largest_text_diff = 0;
  // The largest part of a layer's difference that its rank leaves out, as a share of its norm, and where.
  double worst_residual = 0;
  std::string worst_module;
  double worst_excess = 1;  // over the exact truncated SVD, see LeadingSvd
};

// Throws UserError where the checkpoints have different tensors or shapes, or nothing differs.
ExtractedLora extract_lora(const TensorSource& original, const TensorSource& tuned, const ExtractRules& rules);

// How many modules it looks at, with the same checks; nothing is computed.
size_t count_extracted_modules(const TensorSource& original, const TensorSource& tuned, const ExtractRules& rules);

}  // namespace difftune
