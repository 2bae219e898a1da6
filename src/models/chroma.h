// The transformer of Chroma (lodestone-rock/flow, src/models/chroma/model.py): FLUX.1's blocks without modulation
// layers of their own. One small network, distilled from those layers, makes all vectors of shifts, scales and gates
// out of the step and the guidance.
#pragma once

#include "models/flux.h"

namespace difftune {

struct ChromaConfig {
  FluxConfig blocks;
  int64_t approximator_in = 64;
  int64_t approximator_size = 5120;
  int64_t approximator_depth = 5;

  // Three vectors for a single block, six for each stream of a double block, two for the last layer.
  int64_t num_vectors() const { return 3 * blocks.num_single_blocks + 12 * blocks.num_double_blocks + 2; }
};

namespace chroma {

class Approximator {
 public:
  Approximator(const nn::ParameterScope& scope, const ChromaConfig& config);
  // [B, n, in] → [B, n, size of the blocks]
  at::Tensor forward(const at::Tensor& x) const;

  nn::Linear in_proj;
  std::vector<std::unique_ptr<dit::Mlp>> layers;
  std::vector<std::unique_ptr<nn::RmsNorm>> norms;
  nn::Linear out_proj;
};

}  // namespace chroma

class Chroma {
 public:
  Chroma(const ChromaConfig& config, nn::ParameterReader& reader);
  Chroma(const Chroma&) = delete;

  // FluxInput's guidance is needed, its vector is not used. `text_mask` says which tokens are the caption's: one more,
  // a padding token, is seen, as the model was trained. The vectors get no gradient.
  at::Tensor forward(const FluxInput& input) const;

  void set_gradient_checkpointing(bool enabled) { trunk_->memory.recomputes = enabled; }
  nn::BlockMemory& memory() { return trunk_->memory; }
  nn::NamedBlocks blocks() const { return trunk_->blocks(); }
  const ChromaConfig& config() const { return config_; }
  const nn::ModelIndex& index() const { return index_; }

 private:
  at::Tensor modulation_vectors(const at::Tensor& timesteps, const at::Tensor& guidance) const;

  ChromaConfig config_;
  nn::ModelIndex index_;
  std::unique_ptr<nn::Linear> img_in_;
  std::unique_ptr<chroma::Approximator> distilled_guidance_layer_;
  std::unique_ptr<nn::Linear> txt_in_;
  std::unique_ptr<flux::Trunk> trunk_;
};

}  // namespace difftune
