// How captions become conditioning.
#pragma once

#include <cstdint>
#include <optional>

namespace difftune {

class OptionTable;

struct TextOptions {
  std::optional<int64_t> max_token_length;
  std::optional<int64_t> clip_skip;
  bool weighted_captions = false;
};

void describe(TextOptions& options, OptionTable& table);

}  // namespace difftune
