// The attention syntax of prompts: (strong) [weak] (exact:1.3).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace difftune {

struct WeightedText {
  std::string text;
  double weight = 1.0;
  bool operator==(const WeightedText&) const = default;
};

// Splits a prompt into runs of one weight: `(x)` weighs 1.1 times as much, `[x]` 1/1.1, `(x:1.3)` 1.3; they nest and
// multiply, an unclosed bracket reaches to the end, `\(` `\)` `\[` `\]` `\\` are the characters themselves. Never
// empty. Throws UserError where a weight is not a number, such as 1.2.3. Source: AUTOMATIC1111's
// parse_prompt_attention.
std::vector<WeightedText> parse_prompt_weights(std::string_view prompt);

}  // namespace difftune
