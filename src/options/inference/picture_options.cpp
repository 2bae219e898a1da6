#include "options/inference/picture_options.h"

namespace difftune {

void describe(PictureOptions& options, OptionTable& table) {
  table.group("LoRA");
  table.add("lora_weights", &options.lora_weights,
            "LoRA files, each with its multiplier behind a semicolon: style.safetensors;0.8.",
            {.metavar = "FILE;X ..."});
  table.group("Picture");
  table.add("prompt", &options.prompt, "What the picture shows.");
  table.add("interactive", &options.interactive, "Ask for prompts until one is empty.");
  table.add("output_dir", &options.output_dir, "Folder for the pictures.", {.metavar = "DIR"});
  table.group("Model");
  table.add("tokenizer_cache_dir", &options.tokenizer_cache_dir, "Folder where tokenizer files are looked for first.",
            {.metavar = "DIR"});
}

void describe_memory(PictureOptions& options, OptionTable& table) {
  table.group("LoRA");
  table.add("merge_lora_weights", &options.merge_lora_weights,
            "Add LoRAs to the model's weights; else they compute beside them, and --interactive can change their "
            "multipliers.");
  table.group("Precision and memory");
  table.add("offload", &options.offload,
            "Keep one part of the model in memory at a time with --interactive too; a single picture always does.");
  table.group("Picture");
  table.add("reference_quirks", &options.reference_quirks,
            "Make the picture that sd-scripts makes where it departs from the model's authors.");
}

void describe_size(int64_t& width, int64_t& height, OptionTable& table, const std::string& prefix) {
  const OptionTraits side{.unit = "px", .minimum = 64, .maximum = 16384};
  table.add(prefix + "width", &width, "Width of the picture.", side);
  table.add(prefix + "height", &height, "Height of the picture.", side);
}

OptionTraits step_traits() { return {.unit = "steps", .minimum = 1, .maximum = 1000}; }
OptionTraits seed_traits() { return {.minimum = 0, .maximum = 4294967295.0}; }

}  // namespace difftune
