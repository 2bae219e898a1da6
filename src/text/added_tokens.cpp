#include "text/added_tokens.h"

#include <algorithm>

#include "base/error.h"

namespace difftune {

AddedTokens::AddedTokens(std::vector<std::pair<std::string, int32_t>> tokens) {
  for (auto& token : tokens) {
    DT_CHECK(!token.first.empty());
    by_first_byte_[static_cast<uint8_t>(token.first[0])].push_back(std::move(token));
  }
  for (auto& list : by_first_byte_) {
    std::stable_sort(list.begin(), list.end(),
                     [](const auto& a, const auto& b) { return a.first.size() > b.first.size(); });
  }
}

void AddedTokens::split(std::string_view text, const std::function<void(std::string_view)>& on_text,
                        const std::function<void(int32_t id)>& on_token) const {
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    const auto& tokens = by_first_byte_[static_cast<uint8_t>(text[at])];
    const auto found = std::find_if(tokens.begin(), tokens.end(),
                                    [&](const auto& token) { return text.substr(at).starts_with(token.first); });
    if (found == tokens.end()) {
      ++at;
      continue;
    }
    if (begin < at) on_text(text.substr(begin, at - begin));
    on_token(found->second);
    begin = at += found->first.size();
  }
  if (begin < text.size()) on_text(text.substr(begin));
}

}  // namespace difftune
