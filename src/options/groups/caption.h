// How captions are read and varied.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "options/number.h"

namespace difftune {

class OptionTable;

struct CaptionOptions {
  std::string caption_extension = ".caption";
  std::optional<std::string> caption_extention;
  std::string caption_separator = ",";
  bool shuffle_caption = false;
  int64_t keep_tokens = 0;
  std::string keep_tokens_separator;
  std::optional<std::string> secondary_separator;
  bool enable_wildcard = false;
  std::optional<std::string> caption_prefix;
  std::optional<std::string> caption_suffix;
  Number caption_dropout_rate = 0.0;
  int64_t caption_dropout_every_n_epochs = 0;
  Number caption_tag_dropout_rate = 0.0;
  int64_t token_warmup_min = 1;
  Number token_warmup_step = 0;
};

void describe(CaptionOptions& options, OptionTable& table);

}  // namespace difftune
