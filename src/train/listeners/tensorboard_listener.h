// Writes the curves of a run, with the reference's tags.
#pragma once

#include "train/listener.h"
#include "train/tensorboard_writer.h"

namespace difftune {

class TensorboardListener : public Listener {
 public:
  // `trains_text_encoder`: the first rate is also logged as lr/textencoder, whatever its group, as in the reference.
  TensorboardListener(const fs::path& folder, bool trains_text_encoder)
      : writer_(folder), trains_text_encoder_(trains_text_encoder) {}

  void on_batch(const BatchReport& report) override;
  void on_epoch_end(const EpochReport& report) override;

  TensorboardWriter& writer() { return writer_; }

 private:
  TensorboardWriter writer_;
  bool trains_text_encoder_;
};

}  // namespace difftune
