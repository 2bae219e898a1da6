// Keeping the text encoders' outputs instead of encoding captions in every step.
#pragma once

#include <cstdint>
#include <optional>

namespace difftune {

class OptionTable;

struct TextCacheOptions {
  bool cache_text_encoder_outputs = false;
  bool cache_text_encoder_outputs_to_disk = false;
  std::optional<int64_t> text_encoder_batch_size;
};

void describe(TextCacheOptions& options, OptionTable& table);
// --text_encoder_batch_size, which the commands of U-Nets do not have.
void describe_text_encoder_batch_size(TextCacheOptions& options, OptionTable& table);

}  // namespace difftune
