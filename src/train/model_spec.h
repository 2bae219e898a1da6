// The modelspec.* entries of a saved file (https://github.com/Stability-AI/ModelSpec, version 1.0.1).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "options/groups/metadata.h"
#include "options/resolution.h"
#include "weights/tensor_source.h"

namespace difftune {

// The program and version that files name as their maker.
inline constexpr std::string_view kImplementationVersion = "difftune/0.1.0";

struct ModelSpec {
  std::string architecture;          // "stable-diffusion-v1/lora"
  std::string implementation;        // "diffusers"
  std::optional<std::string> title;  // where --metadata_title gives none
  std::string kind = "LoRA";         // where there is no title at all: "LoRA@1795410965.234786"
  Resolution resolution;
  std::optional<std::string> prediction_type;  // "epsilon" or "v"; none for flow models
  std::optional<std::pair<int64_t, int64_t>> timestep_range;
  std::optional<int64_t> encoder_layer;  // --clip_skip
};

// Replaces a --metadata_thumbnail that names a file by a data: URL with its content. Called before training, a bad file
// is found early. Throws UserError where it is not an image, or larger than 64 MiB.
void embed_thumbnail(MetadataOptions& options);

// The entries of a file, with those of every --metadata_* option, except for what depends on the time of saving.
Metadata model_spec_entries(const ModelSpec& spec, const MetadataOptions& options);

// Adds what depends on the time: modelspec.date in local time, and the title where there is none. `now` is in seconds
// since 1970.
void add_time(const ModelSpec& spec, double now, Metadata& entries);

}  // namespace difftune
