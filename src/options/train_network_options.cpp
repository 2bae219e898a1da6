#include "options/train_network_options.h"

namespace difftune {
namespace {

struct Mark {
  const char* name;
  const char* reason;
};

// Refused by name, with what to do instead.
constexpr Mark kLater[] = {
    {"in_json", "use --train_data_dir or --dataset_config"},
    {"dataset_class", "datasets written in Python cannot be loaded; use --dataset_config"},
    {"cache_info", "image sizes are read from the files' headers in every run"},
    {"debug_dataset", "use --dry_run, which prints images, buckets and captions"},
    {"color_aug", "colour augmentation is planned"},
    {"face_crop_aug_range", "face crops are planned; use --random_crop"},
    {"alpha_mask", "masks are planned"},
    {"masked_loss", "masks are planned"},
    {"conditioning_data_dir", "masks are planned"},
    {"torch_compile", "the model is native code; there is no compiler to run"},
    {"use_8bit_adam", "8-bit optimizers are planned; use --optimizer_type AdamW, Lion or Adafactor"},
    {"fused_backward_pass", "it is meant for models that are trained whole"},
    {"lr_scheduler_type", "Python classes cannot be loaded; use --lr_scheduler"},
    {"lr_scheduler_args", "they belong to --lr_scheduler_type; use --lr_scheduler"},
    {"validation_split", "validation is planned"},
    {"validation_seed", "validation is planned"},
    {"validate_every_n_steps", "validation is planned"},
    {"validate_every_n_epochs", "validation is planned"},
    {"max_validation_steps", "validation is planned"},
    {"log_tracker_config", "TensorBoard needs no settings; leave it out"},
    {"huggingface_repo_id", "uploads are planned; upload the files of --output_dir yourself"},
    {"save_state_to_huggingface", "uploads are planned; use --save_state and upload the folder yourself"},
    {"resume_from_huggingface", "download the state and give its folder to --resume"},
    {"ddp_timeout", "training on several devices is planned"},
    {"ddp_gradient_as_bucket_view", "training on several devices is planned"},
    {"ddp_static_graph", "training on several devices is planned"},
    {"deepspeed", "DeepSpeed is a Python package; --gradient_checkpointing and --mixed_precision save memory too"},
};

// Accepted with a note, because nothing that is available depends on them.
constexpr Mark kNoEffect[] = {
    {"lr_decay_steps", "it only matters with --lr_scheduler warmup_stable_decay, which is not available yet"},
    {"lr_scheduler_timescale", "it only matters with --lr_scheduler inverse_sqrt, which is not available yet"},
    {"lr_scheduler_min_lr_ratio",
     "it only matters with --lr_scheduler cosine_with_min_lr or warmup_stable_decay, which are not available yet"},
    {"persistent_data_loader_workers", "loader threads always stay from one epoch to the next"},
    {"sdpa", "attention is always computed in this way"},
    {"xformers", "attention is always memory-efficient"},
    {"mem_eff_attn", "attention is always memory-efficient"},
    {"dynamo_backend", "it only matters with --torch_compile"},
    {"lowram", "checkpoints are mapped, not read into memory, so that loading needs little in any case"},
    {"highvram", "the GPU's memory cache is not emptied between batches in any case"},
    {"wandb_run_name", "it only matters with --log_with wandb, which is not available yet"},
    {"wandb_api_key", "it only matters with --log_with wandb, which is not available yet"},
    {"huggingface_repo_type", "it only matters with --huggingface_repo_id"},
    {"huggingface_path_in_repo", "it only matters with --huggingface_repo_id"},
    {"huggingface_token", "it only matters with --huggingface_repo_id"},
    {"huggingface_repo_visibility", "it only matters with --huggingface_repo_id"},
    {"async_upload", "it only matters with --huggingface_repo_id"},
    {"zero_stage", "it only matters with --deepspeed"},
    {"offload_optimizer_device", "it only matters with --deepspeed"},
    {"offload_optimizer_nvme_path", "it only matters with --deepspeed"},
    {"offload_param_device", "it only matters with --deepspeed"},
    {"offload_param_nvme_path", "it only matters with --deepspeed"},
    {"zero3_init_flag", "it only matters with --deepspeed"},
    {"zero3_save_16bit_model", "it only matters with --deepspeed"},
    {"fp16_master_weights_and_gradients", "it only matters with --deepspeed"},
    {"dataset_repeats", "it only matters with --in_json"},
};

}  // namespace

OptionTable describe(TrainNetworkOptions& options, const TrainCommand& command) {
  OptionTable table;
  describe(options.model, table);
  describe(options.dataset, table);
  describe(options.caption, table);
  describe(options.bucket, table);
  describe(options.augmentation, table);
  describe(options.mask, table);
  describe(options.latent_cache, table);
  describe(options.text, table);
  describe(options.network, table);
  describe(options.training, table);
  describe(options.optimizer, table);
  describe(options.lr_schedule, table);
  describe(options.noise, table);
  describe(options.loss, table);
  describe(options.compute, table);
  describe(options.output, table);
  describe(options.metadata, table);
  describe(options.state, table);
  describe(options.sample, table);
  describe(options.validation, table);
  describe(options.tracking, table);
  describe(options.console, table);
  describe(options.huggingface, table);
  describe(options.distributed, table);
  describe(options.run, table);
  if (command.add_options != nullptr) command.add_options(options, table);
  for (const Mark& mark : kLater) table.later(mark.name, mark.reason);
  for (const Mark& mark : kNoEffect) table.no_effect(mark.name, mark.reason);
  return table;
}

}  // namespace difftune
