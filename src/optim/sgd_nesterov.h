// SGD with Nesterov momentum, with the operations of torch.optim.SGD(nesterov=True).
#pragma once

#include "optim/optimizer.h"

namespace difftune {

struct SgdNesterovConfig {
  double momentum = 0.9;
  double weight_decay = 0;
  bool maximize = false;
};

class SgdNesterov final : public Optimizer {
 public:
  SgdNesterov(std::vector<ParamGroup> groups, const SgdNesterovConfig& config);

 protected:
  std::vector<std::string> state_names() const override { return {"momentum_buffer"}; }
  std::vector<at::Tensor> new_state(const at::Tensor& param) const override;
  void step_chunk(const Chunk& chunk) override;

 private:
  SgdNesterovConfig config_;
};

}  // namespace difftune
