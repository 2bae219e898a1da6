// What can be said about a picture, by flag and by key (internal to this library).
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
  // Null: every model has it.
  bool (*applies)(const PictureTraits& traits) = nullptr;
};
std::span<const PromptField> prompt_fields();

// Whether the model has a use for the field; if not, it is warned of.
bool applies(const PromptField& field, const PictureTraits& traits);

// The value that a flag's text says. Throws UserError without place.
PromptValue parse_prompt_value(const PromptField& field, std::string_view text);

// Known to the reference, without a meaning here: refused where the picture would be another one, else warned of.
struct ForeignField {
  std::string_view key, flag, message;
  bool is_refused;
};
std::span<const ForeignField> foreign_fields();

inline constexpr std::string_view kNotUsed = "has no effect on this kind of model";

// "--n, --w, ...", for messages: those that the model has a use for.
std::string known_flags(const PictureTraits& traits);

// Sides in the family's steps, rounded down, at least 64.
void round_sides(SamplePrompt& prompt, const PictureTraits& traits);

// Throws UserError without place where the prompt's sampler (or `default_sampler`) is unknown or can't do its steps.
void check_sampler(const SamplePrompt& prompt, const PictureTraits& traits, const std::string& default_sampler);

}  // namespace difftune
