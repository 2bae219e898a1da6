#include "generate/prompt_dialogue.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "data/python_text.h"
#include "generate/sample_prompt_fields.h"

namespace difftune {
namespace {

std::vector<double> parse_multipliers(std::string_view text) {
  std::vector<double> values;
  for (const std::string& part : split(std::string(text), ",")) {
    const std::string_view number = python_strip(part);
    double value = 0;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
    if (error != std::errc() || end != number.data() + number.size()) fail("--m {}: expected numbers like 0.5,1", text);
    values.push_back(value);
  }
  return values;
}

const PromptField& field_of(std::string_view key) {
  const auto fields = prompt_fields();
  const auto found =
      std::find_if(fields.begin(), fields.end(), [&](const PromptField& field) { return field.key == key; });
  DT_CHECK(found != fields.end(), "no prompt has a {}", key);
  return *found;
}

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

void apply(TypedPrompt& typed, std::string_view part, std::span<const DialogueFlag> flags) {
  const size_t length = static_cast<size_t>(std::find_if_not(part.begin(), part.end(), is_letter) - part.begin());
  const std::string name(part.substr(0, length));
  std::string_view value = python_strip(part.substr(length));
  if (name == "m") {
    typed.multipliers = parse_multipliers(value);
    return;
  }
  const auto flag = std::find_if(flags.begin(), flags.end(), [&](const DialogueFlag& f) { return f.flag == name; });
  if (flag == flags.end()) {
    std::string known;
    for (const DialogueFlag& f : flags) known += fmt::format("--{}, ", f.flag);
    fail("unknown flag '--{}', expected one of {}--m", name, known);
  }
  const PromptField& field = field_of(flag->key);
  if (field.key == "negative_prompt" && value == "-") value = "";
  if (value.empty() && field.type != PromptField::Type::text) fail("--{}: its value is missing", name);
  try {
    field.set(typed.prompt, parse_prompt_value(field, value));
  } catch (const UserError& error) {
    fail("--{} {}: {}", name, value, error.what());
  }
}

void require_whole_steps(int64_t side_px, const PictureTraits& traits, std::string_view name) {
  const int64_t step = traits.side_step_px, below = side_px / step * step;
  if (below == side_px && side_px >= step) return;
  fail("{} {}: expected a multiple of {}: {} or {}", name, side_px, step, std::max(step, below), below + step);
}

}  // namespace

TypedPrompt parse_typed_prompt(std::string_view line, const SamplePrompt& start, std::span<const DialogueFlag> flags,
                               const PictureTraits& traits) {
  // A line may begin with a flag.
  const auto parts = split(fmt::format(" {}", line), " --");
  TypedPrompt typed{start, std::nullopt};
  typed.prompt.prompt = python_strip(parts.front());
  for (size_t i = 1; i < parts.size(); ++i) apply(typed, parts[i], flags);
  require_whole_steps(typed.prompt.width_px, typed.prompt.height_px, traits, "--w", "--h");
  return typed;
}

void require_whole_steps(int64_t width_px, int64_t height_px, const PictureTraits& traits, std::string_view width_name,
                         std::string_view height_name) {
  require_whole_steps(width_px, traits, width_name);
  require_whole_steps(height_px, traits, height_name);
}

}  // namespace difftune
