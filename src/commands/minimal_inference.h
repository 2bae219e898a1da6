// What the *_minimal_inference commands have in common: a model is opened, LoRAs are put on it, and one picture is made
// or those that are asked for on the terminal.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "generate/picture_maker.h"
#include "generate/prompt_dialogue.h"
#include "options/inference/picture_options.h"

namespace difftune {

// image_20261125-070600_000.png is {"image_%Y%m%d-%H%M%S"} with a number always; else files get one where the name is
// taken.
struct PictureNaming {
  const char* time_format;
  bool has_seed = false, is_always_numbered = false;
};

struct InferenceJob {
  const PictureOptions& options;
  ModelRequest request = {};
  std::string command = {};  // as the family table has it
  std::string checkpoint_option = "--ckpt_path";
  std::string width_option = "--width", height_option = "--height";
  PictureNaming naming = {"%Y%m%d_%H%M%S"};
  GenerateOptions how = {};

  // Writes what the options say over what holds for the family.
  std::function<void(SamplePrompt&, const PictureTraits&)> set_prompt = {};
  // Asks for the next picture; nullopt ends the dialogue.
  std::function<std::optional<TypedPrompt>(const SamplePrompt& start, const PictureTraits&)> ask = {};
};

// Returns the exit code.
int run_inference(InferenceJob& job);

// The answer to a question on the terminal; nullopt at the end of the input.
std::optional<std::string> ask_line(std::string_view question);
// A dialogue of one line a prompt, see parse_typed_prompt(). An empty line ends it, or with an `end_word` is passed
// over.
std::optional<TypedPrompt> ask_for_prompt(const SamplePrompt& start, std::span<const DialogueFlag> flags,
                                          const PictureTraits& traits, std::string_view end_word = "");

}  // namespace difftune
