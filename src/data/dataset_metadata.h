// The part of a LoRA's metadata that describes the data, as the reference words it.
#pragma once

#include <map>
#include <string>

#include "data/dataset_group.h"

namespace difftune {

// ss_num_train_images, ss_num_reg_images and, of a run with a dataset file, ss_datasets, ss_tag_frequency and
// ss_dataset_dirs; of one without, ss_dataset_dirs, ss_reg_dataset_dirs, ss_tag_frequency, ss_bucket_info,
// ss_enable_bucket, ss_bucket_no_upscale, ss_min_bucket_reso and ss_max_bucket_reso. (The other keys of such a run
// repeat command line values.) Values are Python's str() or json.dumps().
std::map<std::string, std::string> dataset_metadata(const DatasetGroup& group, bool from_dataset_file);

}  // namespace difftune
