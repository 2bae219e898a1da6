// What can be said about a sample picture, by flag and by key (internal to this library).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "generate/sample_prompts.h"

namespace difftune {

using PromptValue = std::variant<int64_t, uint64_t, double, std::string>;

struct PromptField {
  enum class Type { whole, real, text };

  std::string_view key;   // in .toml and .json files
  std::string_view flag;  // behind "--" in a line; empty: none
  Type type;
  // Throws UserError without place where the value is out of range.
  void (*set)(SamplePrompt& prompt, const PromptValue& value);
};
std::span<const PromptField> prompt_fields();

// Known to the reference, without a meaning here: refused where the picture would be another one, else warned of.
struct ForeignField {
  std::string_view key, flag, message;
  bool is_refused;
};
std::span<const ForeignField> foreign_fields();

// "--n, --w, ...", for messages.
std::string known_flags();

// Throws UserError without place where the prompt's sampler (or `default_sampler`) is unknown or can't do its steps.
void check_sampler(const SamplePrompt& prompt, const std::string& default_sampler);

}  // namespace difftune
