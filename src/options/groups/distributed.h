// Training on several devices.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace difftune {

class OptionTable;

struct DistributedOptions {
  std::optional<int64_t> ddp_timeout;
  bool ddp_gradient_as_bucket_view = false;
  bool ddp_static_graph = false;
  bool deepspeed = false;
  int64_t zero_stage = 2;
  std::optional<std::string> offload_optimizer_device;
  std::optional<std::string> offload_optimizer_nvme_path;
  std::optional<std::string> offload_param_device;
  std::optional<std::string> offload_param_nvme_path;
  bool zero3_init_flag = false;
  bool zero3_save_16bit_model = false;
  bool fp16_master_weights_and_gradients = false;
};

void describe(DistributedOptions& options, OptionTable& table);

}  // namespace difftune
