// The sample pictures of a moment in a training run, as files.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "generate/text_to_image.h"

namespace difftune {

// Where pictures go and what their names say.
struct SampleFiles {
  fs::path output_dir = {};           // pictures are in its folder "sample"
  std::string output_name = {};       // begins their names; may be empty
  std::optional<int64_t> epoch = {};  // given at the end of an epoch; else names hold the step
  int64_t step = 0;
};

// Pictures all `prompts` and writes output_dir/sample/<output_name_>e<epoch>|<step>_<index>_<time><_seed>.png with the
// settings as PNG text in AUTOMATIC1111's form ("parameters"). A picture that fails is logged and left out: never
// throws. Returns the files written. What must be loaded: see generate_image(). `texts`: made by encode_prompt(), one
// for each prompt; empty: prompts are encoded here.
std::vector<fs::path> generate_samples(const ModelFamily& family, std::span<const SamplePrompt> prompts,
                                       const GenerateOptions& options, const SampleFiles& files,
                                       std::span<const Conditioning> texts = {});

// What the PNG text says: prompt, negative prompt, and a line of settings.
std::string sample_parameters(const SamplePrompt& prompt, const PictureTraits& traits,
                              const std::string& default_sampler);

}  // namespace difftune
