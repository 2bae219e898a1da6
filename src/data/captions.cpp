#include "data/captions.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <vector>

#include "data/python_text.h"

namespace difftune {
namespace {

using Tokens = std::vector<std::string>;

// Replaces each {a|b|c} by one of its choices, from left to right. As the regular expression \{([^}]+)\} does, a match
// runs from the first `{` to the first `}` after at least one character.
std::string choose_wildcards(std::string_view text, PythonRandom& random) {
  std::string out;
  size_t at = 0;
  while (at < text.size()) {
    const size_t open = text.find('{', at);
    const size_t close = open == std::string_view::npos ? open : text.find('}', open + 1);
    if (close == std::string_view::npos) break;
    out += text.substr(at, open - at);
    if (close == open + 1) {
      out += "{";
      at = close;
      continue;
    }
    out += random.choice(split(text.substr(open + 1, close - open - 1), "|"));
    at = close + 1;
  }
  return out += text.substr(at);
}

std::string apply_wildcards(std::string caption, PythonRandom& random) {
  if (caption.find('\n') != std::string::npos) caption = random.choice(split(caption, "\n"));
  // Doubled braces stand for themselves: they are hidden behind characters that the caption does not hold.
  std::string hidden_open = "\u2985", hidden_close = "\u2986";
  while (caption.find(hidden_open) != std::string::npos || caption.find(hidden_close) != std::string::npos) {
    hidden_open += "\u2985";
    hidden_close += "\u2986";
  }
  caption = replace_all(replace_all(caption, "{{", hidden_open), "}}", hidden_close);
  caption = choose_wildcards(caption, random);
  return replace_all(replace_all(caption, hidden_open, "{"), hidden_close, "}");
}

Tokens split_tokens(std::string_view text, std::string_view separator, bool keep_empty) {
  Tokens tokens;
  for (const auto& part : split(text, separator)) {
    const std::string_view token = python_strip(part);
    if (keep_empty || !token.empty()) tokens.emplace_back(token);
  }
  return tokens;
}

struct TokenParts {
  Tokens fixed, flexible, fixed_suffix;
};

TokenParts part_tokens(std::string_view caption, const SubsetConfig& subset) {
  const std::string_view mark = subset.keep_tokens_separator;
  const size_t first = mark.empty() ? std::string_view::npos : caption.find(mark);
  TokenParts parts;
  if (first == std::string_view::npos) {
    parts.flexible = split_tokens(python_strip(caption), subset.caption_separator, true);
    const size_t kept = std::min<size_t>(std::max(subset.keep_tokens, 0), parts.flexible.size());
    const auto end_of_fixed = parts.flexible.begin() + static_cast<std::ptrdiff_t>(kept);
    parts.fixed.assign(parts.flexible.begin(), end_of_fixed);
    parts.flexible.erase(parts.flexible.begin(), end_of_fixed);
    return parts;
  }
  std::string_view flexible = caption.substr(first + mark.size());
  if (const size_t second = flexible.find(mark); second != std::string_view::npos) {
    parts.fixed_suffix = split_tokens(flexible.substr(second + mark.size()), subset.caption_separator, false);
    flexible = flexible.substr(0, second);
  }
  parts.fixed = split_tokens(caption.substr(0, first), subset.caption_separator, false);
  parts.flexible = split_tokens(flexible, subset.caption_separator, false);
  return parts;
}

// Token warm-up: at step 0 only token_warmup_min of the flexible tokens are used, at token_warmup_step all of them.
void limit_tokens(Tokens& tokens, const SubsetConfig& subset, const CaptionMoment& moment) {
  double last_step = subset.token_warmup_step;
  if (last_step < 1) last_step = std::floor(last_step * static_cast<double>(moment.max_train_steps));
  if (last_step <= 0 || static_cast<double>(moment.step) >= last_step) return;
  const double slope = (static_cast<double>(tokens.size()) - subset.token_warmup_min) / last_step;
  const double length = std::floor(static_cast<double>(moment.step) * slope) + subset.token_warmup_min;
  if (length < static_cast<double>(tokens.size())) tokens.resize(static_cast<size_t>(std::max(length, 0.0)));
}

std::string rearrange_tokens(std::string_view caption, const SubsetConfig& subset, const CaptionMoment& moment,
                             PythonRandom& random) {
  auto [tokens, flexible, fixed_suffix] = part_tokens(caption, subset);
  limit_tokens(flexible, subset, moment);
  if (subset.shuffle_caption) random.shuffle(flexible);
  for (auto& token : flexible) {
    const bool kept = subset.caption_tag_dropout_rate <= 0 || random.random() >= subset.caption_tag_dropout_rate;
    if (kept) tokens.push_back(std::move(token));
  }
  std::move(fixed_suffix.begin(), fixed_suffix.end(), std::back_inserter(tokens));
  return join(tokens, ", ");  // whatever the separator was
}

bool is_dropped(const SubsetConfig& subset, const CaptionMoment& moment, PythonRandom& random) {
  if (subset.caption_dropout_rate > 0 && random.random() < subset.caption_dropout_rate) return true;
  const int every = subset.caption_dropout_every_n_epochs;
  return every > 0 && moment.epoch % every == 0;
}

}  // namespace

std::string process_caption(std::string_view text, const SubsetConfig& subset, const CaptionMoment& moment,
                            PythonRandom& random) {
  std::string caption(text);
  if (subset.caption_prefix && !subset.caption_prefix->empty()) caption = *subset.caption_prefix + " " + caption;
  if (subset.caption_suffix && !subset.caption_suffix->empty()) caption += " " + *subset.caption_suffix;
  if (is_dropped(subset, moment, random)) return "";

  caption =
      subset.enable_wildcard ? apply_wildcards(std::move(caption), random) : caption.substr(0, caption.find('\n'));
  if (subset.shuffle_caption || subset.token_warmup_step > 0 || subset.caption_tag_dropout_rate > 0) {
    caption = rearrange_tokens(caption, subset, moment, random);
  }
  if (subset.secondary_separator && !subset.secondary_separator->empty()) {
    caption = replace_all(caption, *subset.secondary_separator, subset.caption_separator);
  }
  return caption;
}

}  // namespace difftune
