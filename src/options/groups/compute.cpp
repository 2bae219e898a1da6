#include "options/groups/compute.h"

#include "options/option_table.h"

namespace difftune {

void describe(ComputeOptions& options, OptionTable& table) {
  table.group("Precision and memory");
  table.add("mixed_precision", &options.mixed_precision,
            "Precision of the large operations; the trained weights stay fp32.", {.choices = {"no", "fp16", "bf16"}});
  table.add("full_fp16", &options.full_fp16,
            "Trained weights and gradients in fp16 too; needs --mixed_precision fp16.");
  table.add("full_bf16", &options.full_bf16,
            "Trained weights and gradients in bf16 too; needs --mixed_precision bf16.");
  table.add(
      "fp8_base", &options.fp8_base,
      "Keep the frozen model in 8-bit floats (float8_e4m3fn), text encoders that run in every step included; needs "
      "--mixed_precision bf16 or fp16.");
  table.add("fp8_base_unet", &options.fp8_base_unet,
            "Keep the frozen U-Net or transformer in 8-bit floats, and not the text encoders.");
  table.add("gradient_checkpointing", &options.gradient_checkpointing,
            "Compute activations twice instead of keeping them: less memory, more time.");
  table.add("cpu_offload_checkpointing", &options.cpu_offload_checkpointing,
            "Let what --gradient_checkpointing keeps wait in main memory, where training runs on a GPU.");
  table.add("sdpa", &options.sdpa, "Attention without the whole score matrix in memory, by PyTorch.");
  table.add("xformers", &options.xformers, "The same by the xformers package.");
  table.add("mem_eff_attn", &options.mem_eff_attn, "The same in an older form.");
  table.add("torch_compile", &options.torch_compile, "Compile the model before training.");
  table.add("dynamo_backend", &options.dynamo_backend, "Compiler that --torch_compile uses.",
            {.choices = {"eager", "aot_eager", "inductor", "aot_ts_nvfuser", "nvprims_nvfuser", "cudagraphs", "ofi",
                         "fx2trt", "onnxrt", "tensort", "ipex", "tvm"},
             .file_defaults = {"no"}});
}

}  // namespace difftune
