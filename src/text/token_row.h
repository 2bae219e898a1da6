// Token ids as the text encoders of the DiT families take them: one row of fixed length, with a mask.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace difftune {

struct TokenRow {
  std::vector<int32_t> ids;
  std::vector<int32_t> mask;  // 1 for the text with its marks, 0 for padding
  int num_cut_tokens = 0;     // tokens at the end of the text that found no place
};

// Refuses text that is not UTF-8, by the position of its first bad byte; lone surrogates are bad.
void require_utf8(std::string_view text);

}  // namespace difftune
