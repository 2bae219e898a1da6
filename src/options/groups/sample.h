// Pictures generated during training.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace difftune {

class OptionTable;

struct SampleOptions {
  std::optional<std::string> sample_prompts;
  std::optional<int64_t> sample_every_n_steps;
  std::optional<int64_t> sample_every_n_epochs;
  bool sample_at_first = false;
  std::string sample_sampler = "ddim";
};

void describe(SampleOptions& options, OptionTable& table);

}  // namespace difftune
