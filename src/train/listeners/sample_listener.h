// Sample pictures during training.
#pragma once

#include <vector>

#include "generate/sample_files.h"
#include "generate/text_to_image.h"
#include "options/groups/sample.h"
#include "train/listener.h"
#include "train/task.h"

namespace difftune {

class SampleListener : public Listener {
 public:
  // `family` and `task` must outlive the listener. `files` gives folder and name. `texts`: see generate_samples().
  SampleListener(ModelFamily& family, Task& task, const SampleOptions& when, std::vector<SamplePrompt> prompts,
                 std::vector<Conditioning> texts, GenerateOptions how, SampleFiles files);

  void on_start(int64_t step) override;
  void on_step(int64_t step, int64_t epoch) override;
  void on_epoch_end(const EpochReport& report) override;

 private:
  void sample(int64_t step, std::optional<int64_t> epoch);

  ModelFamily& family_;
  Task& task_;
  SampleOptions when_;
  std::vector<SamplePrompt> prompts_;
  std::vector<Conditioning> texts_;
  GenerateOptions how_;
  SampleFiles files_;
};

}  // namespace difftune
