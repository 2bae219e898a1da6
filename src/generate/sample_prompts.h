// The file of --sample_prompts: what to picture, and how.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/files.h"
#include "families/model_family.h"

namespace difftune {

struct SamplePrompt {
  std::string prompt, negative_prompt;
  std::optional<std::string> second_prompt;  // for the second text encoder, where a family has several
  int64_t width_px = 512, height_px = 512;   // multiples of the family's step, at least 64
  std::optional<uint64_t> seed;              // none: a new one for every picture
  int64_t num_steps = 30;
  double scale = 7.5;  // of classifier-free guidance (arXiv 2207.12598)
  std::optional<std::string> sampler;
  // Of models that have it, see PictureTraits.
  std::optional<double> guidance;
  std::optional<GuidanceLimits> limits;
};

// An empty prompt with what holds for the family.
SamplePrompt default_prompt(const PictureTraits& traits);

// Whether the prompt is guided away from its negative prompt.
bool is_guided(const SamplePrompt& prompt, const PictureTraits& traits);

// The prompts of a .txt (one a line, with " --w 768"-like flags), .toml ([prompt] and [[prompt.subset]]) or .json file
// (a list of such lines, or of objects with the keys of the .toml). Sizes are rounded down to multiples of the family's
// step and up to 64; a flag that the family's model has no use for is warned of. Throws UserError with file and line
// for anything that could not be pictured later, a sampler that can't do its steps among them; `default_sampler` is the
// one of prompts that name none. Source: load_prompts of the reference.
std::vector<SamplePrompt> read_sample_prompts(const fs::path& path, const PictureTraits& traits = {},
                                              const std::string& default_sampler = "ddim");

}  // namespace difftune
