// Where images come from and how they are batched.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "options/number.h"

namespace difftune {

class OptionTable;

struct DatasetOptions {
  std::optional<std::string> train_data_dir;
  std::optional<std::string> reg_data_dir;
  std::optional<std::filesystem::path> dataset_config;
  std::optional<std::string> in_json;
  std::optional<std::string> dataset_class;
  std::optional<std::string> resolution;
  int64_t train_batch_size = 1;
  int64_t dataset_repeats = 1;
  Number prior_loss_weight = 1.0;
  bool cache_info = false;
  bool debug_dataset = false;
  int64_t max_data_loader_n_workers = 8;
  bool persistent_data_loader_workers = false;
};

void describe(DatasetOptions& options, OptionTable& table);

}  // namespace difftune
