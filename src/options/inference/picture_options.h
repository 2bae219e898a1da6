// What the *_minimal_inference commands have in common.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "options/number.h"
#include "options/option_table.h"

namespace difftune {

struct PictureOptions {
  std::string prompt = "A photo of a cat";
  std::string output_dir = ".";
  std::vector<std::string> lora_weights;
  bool merge_lora_weights = false;
  bool interactive = false;
  bool offload = false;
  std::optional<std::string> tokenizer_cache_dir;
  bool reference_quirks = false;
};

// Groups "LoRA" and "Picture", as far as all commands have them.
void describe(PictureOptions& options, OptionTable& table);
// --merge_lora_weights and --offload.
void describe_memory(PictureOptions& options, OptionTable& table);

// Sides and steps with the bounds that all commands have; `prefix` stands before "width" and "height".
void describe_size(int64_t& width, int64_t& height, OptionTable& table, const std::string& prefix = "");
OptionTraits step_traits();
OptionTraits seed_traits();

}  // namespace difftune
