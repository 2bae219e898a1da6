// Precision, memory and kernels.
#pragma once

#include <string>

namespace difftune {

class OptionTable;

struct ComputeOptions {
  std::string mixed_precision = "no";
  bool full_fp16 = false;
  bool full_bf16 = false;
  bool fp8_base = false;
  bool fp8_base_unet = false;
  bool gradient_checkpointing = false;
  bool cpu_offload_checkpointing = false;
  bool sdpa = false;
  bool xformers = false;
  bool mem_eff_attn = false;
  bool torch_compile = false;
  std::string dynamo_backend = "inductor";
};

void describe(ComputeOptions& options, OptionTable& table);

}  // namespace difftune
