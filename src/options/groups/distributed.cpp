#include "options/groups/distributed.h"

#include "options/option_table.h"

namespace difftune {

void describe(DistributedOptions& options, OptionTable& table) {
  table.group("Several devices");
  table.add("ddp_timeout", &options.ddp_timeout, "How long a process waits for the others.",
            {.unit = "minutes", .minimum = 1});
  table.add("ddp_gradient_as_bucket_view", &options.ddp_gradient_as_bucket_view,
            "Let gradients share memory with what is sent.");
  table.add("ddp_static_graph", &options.ddp_static_graph, "Promise that every step uses the same parameters.");
  table.add("deepspeed", &options.deepspeed, "Train with DeepSpeed.");
  table.add("zero_stage", &options.zero_stage, "What DeepSpeed spreads over devices.",
            {.choices = {"0", "1", "2", "3"}});
  table.add("offload_optimizer_device", &options.offload_optimizer_device, "Where DeepSpeed keeps optimizer states.",
            {.choices = {"cpu", "nvme"}});
  table.add("offload_optimizer_nvme_path", &options.offload_optimizer_nvme_path, "Folder for them with nvme.",
            {.metavar = "DIR"});
  table.add("offload_param_device", &options.offload_param_device, "Where DeepSpeed keeps parameters.",
            {.choices = {"cpu", "nvme"}});
  table.add("offload_param_nvme_path", &options.offload_param_nvme_path, "Folder for them with nvme.",
            {.metavar = "DIR"});
  table.add("zero3_init_flag", &options.zero3_init_flag, "Spread the model while it is built (stage 3).");
  table.add("zero3_save_16bit_model", &options.zero3_save_16bit_model, "Save in 16 bits (stage 3).");
  table.add("fp16_master_weights_and_gradients", &options.fp16_master_weights_and_gradients,
            "Keep fp16 master weights with fp32 optimizer states.");
}

}  // namespace difftune
