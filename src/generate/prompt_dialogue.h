// Prompts that are typed in, one a line: "a cat --w 768 --h 512 --d 7 --n blurred".
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "generate/sample_prompts.h"

namespace difftune {

// A flag of a command's dialogue and what it sets, by its key in prompt files. Commands differ in their letters.
struct DialogueFlag {
  std::string_view flag, key;
};

struct TypedPrompt {
  SamplePrompt prompt;
  std::optional<std::vector<double>> multipliers;  // of the LoRAs: "--m 0.5,1"
};

// What a line asks for, on top of `start`. A negative prompt "-" is empty. Sides must be multiples of the family's
// step. Throws UserError.
TypedPrompt parse_typed_prompt(std::string_view line, const SamplePrompt& start, std::span<const DialogueFlag> flags,
                               const PictureTraits& traits);

// Throws UserError that names both neighbours where a side is no multiple of the family's step.
void require_whole_steps(int64_t width_px, int64_t height_px, const PictureTraits& traits, std::string_view width_name,
                         std::string_view height_name);

}  // namespace difftune
