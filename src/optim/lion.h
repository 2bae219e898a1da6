// Lion (arXiv 2302.06675), with the operations of lion-pytorch.
#pragma once

#include "optim/optimizer.h"

namespace difftune {

struct LionConfig {
  double beta1 = 0.9, beta2 = 0.99;
  double weight_decay = 0;
  // Divides weight_decay by `learning_rate`, so that decay does not grow with it.
  bool decoupled_weight_decay = false;
  double learning_rate = 1e-4;
};

class Lion final : public Optimizer {
 public:
  Lion(std::vector<ParamGroup> groups, const LionConfig& config);

 protected:
  std::vector<std::string> state_names() const override { return {"exp_avg"}; }
  std::vector<at::Tensor> new_state(const at::Tensor& param) const override;
  void step_chunk(const Chunk& chunk) override;

 private:
  LionConfig config_;
};

}  // namespace difftune
