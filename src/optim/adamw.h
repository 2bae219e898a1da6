// AdamW (arXiv 1711.05101) with the operations, and so the bits, of torch.optim.AdamW.
#pragma once

#include "optim/optimizer.h"

namespace difftune {

struct AdamWConfig {
  double beta1 = 0.9, beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 1e-2;
  bool amsgrad = false;
  bool maximize = false;
};

class AdamW final : public Optimizer {
 public:
  AdamW(std::vector<ParamGroup> groups, const AdamWConfig& config);

 protected:
  std::vector<std::string> state_names() const override;
  std::vector<at::Tensor> new_state(const at::Tensor& param) const override;
  void step_chunk(const Chunk& chunk) override;

 private:
  AdamWConfig config_;
};

}  // namespace difftune
