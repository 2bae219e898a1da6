#include "commands/command_table.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <vector>

#include "base/error.h"
#include "base/nearest_name.h"
#include "commands/cache_commands.h"
#include "commands/check_lora_weights.h"
#include "commands/convert_diffusers20_original_sd.h"
#include "commands/convert_diffusers_to_flux.h"
#include "commands/convert_flux_lora.h"
#include "commands/docs.h"
#include "commands/extract_lora_from_dylora.h"
#include "commands/extract_lora_from_models.h"
#include "commands/flux_extract_lora.h"
#include "commands/flux_merge_lora.h"
#include "commands/flux_minimal_inference.h"
#include "commands/lumina_minimal_inference.h"
#include "commands/merge_lora.h"
#include "commands/merge_lora_old.h"
#include "commands/merge_models.h"
#include "commands/merge_sd3_safetensors.h"
#include "commands/resize_lora.h"
#include "commands/sd3_minimal_inference.h"
#include "commands/sdxl_merge_lora.h"
#include "commands/sdxl_minimal_inference.h"
#include "commands/show_metadata.h"
#include "commands/svd_merge_lora.h"
#include "commands/train_network.h"

namespace difftune {
namespace {

// The row of kTrainCommands[number].
template <size_t number>
constexpr Command train_row() {
  constexpr const TrainCommand& kCommand = kTrainCommands[number];
  return {kCommand.name, kCommand.summary,
          [](std::span<const std::string> words) { return run_train_command(kCommand, words); },
          [] { return train_command_page(kCommand); }};
}

constexpr std::array kCommands = {
    train_row<0>(),
    train_row<1>(),
    train_row<2>(),
    train_row<3>(),
    train_row<4>(),
    Command{"sdxl_minimal_inference", kSdxlMinimalInferenceSummary, run_sdxl_minimal_inference,
            sdxl_minimal_inference_page},
    Command{"flux_minimal_inference", kFluxMinimalInferenceSummary, run_flux_minimal_inference,
            flux_minimal_inference_page},
    Command{"sd3_minimal_inference", kSd3MinimalInferenceSummary, run_sd3_minimal_inference,
            sd3_minimal_inference_page},
    Command{"lumina_minimal_inference", kLuminaMinimalInferenceSummary, run_lumina_minimal_inference,
            lumina_minimal_inference_page},
    Command{"cache_latents", kCacheLatentsSummary, run_cache_latents, cache_latents_page},
    Command{"cache_text_encoder_outputs", kCacheTextSummary, run_cache_text_encoder_outputs,
            cache_text_encoder_outputs_page},
    Command{"check_lora_weights", kCheckLoraWeightsSummary, run_check_lora_weights, check_lora_weights_page},
    Command{"convert_diffusers_to_flux", kConvertDiffusersToFluxSummary, run_convert_diffusers_to_flux,
            convert_diffusers_to_flux_page},
    Command{"convert_diffusers20_original_sd", kConvertDiffusers20OriginalSdSummary,
            run_convert_diffusers20_original_sd, convert_diffusers20_original_sd_page},
    Command{"convert_flux_lora", kConvertFluxLoraSummary, run_convert_flux_lora, convert_flux_lora_page},
    Command{"merge_models", kMergeModelsSummary, run_merge_models, merge_models_page},
    Command{"merge_sd3_safetensors", kMergeSd3SafetensorsSummary, run_merge_sd3_safetensors,
            merge_sd3_safetensors_page},
    Command{"show_metadata", kShowMetadataSummary, run_show_metadata, show_metadata_page},
    Command{"merge_lora", kMergeLoraSummary, run_merge_lora, merge_lora_page},
    Command{"merge_lora_old", kMergeLoraOldSummary, run_merge_lora_old, merge_lora_old_page},
    Command{"sdxl_merge_lora", kSdxlMergeLoraSummary, run_sdxl_merge_lora, sdxl_merge_lora_page},
    Command{"flux_merge_lora", kFluxMergeLoraSummary, run_flux_merge_lora, flux_merge_lora_page},
    Command{"svd_merge_lora", kSvdMergeLoraSummary, run_svd_merge_lora, svd_merge_lora_page},
    Command{"resize_lora", kResizeLoraSummary, run_resize_lora, resize_lora_page},
    Command{"extract_lora_from_models", kExtractLoraFromModelsSummary, run_extract_lora_from_models,
            extract_lora_from_models_page},
    Command{"flux_extract_lora", kFluxExtractLoraSummary, run_flux_extract_lora, flux_extract_lora_page},
    Command{"extract_lora_from_dylora", kExtractLoraFromDyloraSummary, run_extract_lora_from_dylora,
            extract_lora_from_dylora_page},
    Command{"docs", "Writes the Markdown page of every command into a folder.", run_docs, nullptr},
};

std::string usage(std::string_view version) {
  std::string text = fmt::format(
      "difftune {}: trains LoRAs for diffusion models, with the commands, options and files of sd-scripts.\n\n"
      "usage: difftune COMMAND [options]\n\ncommands:\n",
      version);
  size_t width = 0;
  for (const Command& command : kCommands) width = std::max(width, command.name.size());
  for (const Command& command : kCommands) text += fmt::format("  {:{}}  {}\n", command.name, width, command.summary);
  return text +
         "\n  difftune COMMAND --help  prints a command's options\n  difftune --version       prints the version\n";
}

// "sd-scripts/train_network.py" is train_network.
std::string command_name(std::string_view word) {
  if (!word.ends_with(".py")) return std::string(word);
  word.remove_suffix(3);
  if (const size_t slash = word.find_last_of("/\\"); slash != std::string_view::npos) word.remove_prefix(slash + 1);
  return std::string(word);
}

const Command& find_command(const std::string& word) {
  const std::string name = command_name(word);
  std::vector<std::string> names;
  for (const Command& command : kCommands) {
    if (command.name == name) return command;
    names.emplace_back(command.name);
  }
  const std::string nearest = nearest_name(name, names);
  throw UsageError(fmt::format("there is no command {}{}; `difftune --help` lists the commands", word,
                               nearest.empty() ? "" : ": did you mean " + nearest + "?"));
}

}  // namespace

std::span<const Command> command_table() { return kCommands; }

int run_command_line(std::span<const std::string> words, std::string_view version) {
  if (words.empty()) throw UsageError("which command? `difftune --help` lists them");
  if (words[0] == "--help" || words[0] == "-h" || words[0] == "help") {
    fmt::print("{}", usage(version));
    return 0;
  }
  if (words[0] == "--version") {
    fmt::print("difftune {}\n", version);
    return 0;
  }
  return find_command(words[0]).run(words.subspan(1));
}

}  // namespace difftune
