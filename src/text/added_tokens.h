// Pieces of text that are one token wherever they stand, before anything else looks at the text.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace difftune {

class AddedTokens {
 public:
  // Texts (UTF-8, not empty) with their ids.
  explicit AddedTokens(std::vector<std::pair<std::string, int32_t>> tokens);

  // Calls the functions for the tokens in `text` and the stretches between, from left to right; the longest token that
  // begins at a place counts.
  void split(std::string_view text, const std::function<void(std::string_view)>& on_text,
             const std::function<void(int32_t id)>& on_token) const;

 private:
  std::vector<std::pair<std::string, int32_t>> by_first_byte_[256];  // longest first
};

}  // namespace difftune
