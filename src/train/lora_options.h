// From the options of a training command to what the trainer's parts take.
#pragma once

#include "adapters/lora.h"
#include "data/dataset_config.h"
#include "families/model_family.h"
#include "options/train_network_options.h"

namespace difftune {

// --network_dim, --network_alpha, --network_dropout and --network_args, as the family's LoRA has them. Throws
// UsageError for an argument that it does not have (with the nearest name) or that is not available.
LoraConfig lora_config(const NetworkOptions& options, const LoraArguments& arguments);

// Rates of the denoiser and of the family's text encoders: a family whose encoders share a rate takes one for each
// where as many are given. Says so where a value is left over.
AdapterLearningRates learning_rates(const TrainNetworkOptions& options, const FamilyInfo& family);

ObjectiveSettings objective_settings(const TrainNetworkOptions& options);

// Throws UsageError for fp16 on a CPU.
ModelRequest model_request(const TrainNetworkOptions& options, c10::Device device);

std::vector<DatasetConfig> dataset_configs(const TrainNetworkOptions& options, const FamilyInfo& family);

}  // namespace difftune
