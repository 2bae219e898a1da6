// The file of --sample_prompts: what to picture, and how.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/files.h"

namespace difftune {

struct SamplePrompt {
  std::string prompt, negative_prompt;
  int64_t width_px = 512, height_px = 512;  // multiples of 8, at least 64
  std::optional<uint64_t> seed;             // none: a new one for every picture
  int64_t num_steps = 30;
  double scale = 7.5;  // of classifier-free guidance (arXiv 2207.12598); without guidance up to 1
  std::optional<std::string> sampler;
};

// The prompts of a .txt (one a line, with " --w 768"-like flags), .toml ([prompt] and [[prompt.subset]]) or .json file
// (a list of such lines, or of objects with the keys of the .toml). Sizes are rounded down to multiples of 8 and up to
// 64. Throws UserError with file and line for anything that could not be pictured later, a sampler that can't do its
// steps among them; `default_sampler` is the one of prompts that name none. Source: load_prompts of the reference.
std::vector<SamplePrompt> read_sample_prompts(const fs::path& path, const std::string& default_sampler = "ddim");

}  // namespace difftune
