// From a caption as read to the text that one sample is trained on.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/python_random.h"
#include "data/dataset_config.h"

namespace difftune {

// When in the run a sample is drawn: decides caption_dropout_every_n_epochs and the token warm-up.
struct CaptionMoment {
  int64_t epoch = 0;  // the dataset's count: 0 before the first epoch was announced
  int64_t step = 0;   // optimizer steps, as the dataset knows them
  int64_t max_train_steps = 0;
};

// Prefix and suffix, whole-caption dropout, choice of a line and wildcards, then shuffling, warm-up and dropout of
// tags, then the secondary separator; draws from `random` in the order of the reference's process_caption.
std::string process_caption(std::string_view caption, const SubsetConfig& subset, const CaptionMoment& moment,
                            PythonRandom& random);

}  // namespace difftune
