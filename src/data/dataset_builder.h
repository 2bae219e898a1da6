// Builds datasets from their configuration: folders, captions, image headers, buckets.
#pragma once

#include <vector>

#include "data/dataset.h"
#include "data/dataset_config.h"

namespace difftune {

struct DatasetBuildOptions {
  bool cache_latents = false;
  bool reference_quirks = false;
};

// Reads folders, captions and image headers in parallel. Throws one UserError that lists everything that is wrong.
std::vector<Dataset> build_datasets(std::vector<DatasetConfig> configs, const DatasetBuildOptions& options);

}  // namespace difftune
