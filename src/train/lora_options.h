// From the options of train_network to what the trainer's parts take.
#pragma once

#include "adapters/lora.h"
#include "data/dataset_config.h"
#include "diffusion/ddpm_objective.h"
#include "families/model_family.h"
#include "options/train_network_options.h"

namespace difftune {

// --network_dim, --network_alpha, --network_dropout and --network_args. Throws UsageError for an argument that
// networks.lora does not have (with the nearest name) or that is not available yet.
LoraConfig lora_config(const NetworkOptions& options);

AdapterLearningRates learning_rates(const TrainNetworkOptions& options);

DdpmObjectiveConfig objective_config(const TrainNetworkOptions& options);

// Throws UsageError for fp16 on a CPU.
ModelRequest model_request(const TrainNetworkOptions& options, c10::Device device);

std::vector<DatasetConfig> dataset_configs(const TrainNetworkOptions& options);

}  // namespace difftune
