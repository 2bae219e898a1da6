#include "commands/cache_commands.h"

#include <fmt/core.h>

#include "base/patient_threads.h"
#include "commands/console.h"
#include "options/command_page.h"
#include "options/read_options.h"
#include "train/cache_files.h"

namespace difftune {
namespace {

CommandPage page(CacheCommand command) {
  if (command == CacheCommand::latents) {
    return {.name = "cache_latents",
            .summary = std::string(kCacheLatentsSummary),
            .example =
                "difftune cache_latents --sdxl --pretrained_model_name_or_path sdxl.safetensors --dataset_config "
                "data.toml --vae_batch_size 4 --no_half_vae"};
  }
  return {.name = "cache_text_encoder_outputs",
          .summary = std::string(kCacheTextSummary),
          .example =
              "difftune cache_text_encoder_outputs --sdxl --pretrained_model_name_or_path sdxl.safetensors "
              "--dataset_config data.toml --mixed_precision bf16"};
}

int run(CacheCommand command, std::span<const std::string> words) {
  CacheOptions options;
  OptionTable table = describe(options, command);
  const ReadResult read = read_options(table, words);
  if (read.outcome == ReadResult::Outcome::help_wanted) {
    fmt::print("{}", help_text(page(command), table, terminal_width()));
    return 0;
  }
  if (!options.train.run.dry_run) let_waiting_threads_sleep();
  configure_log(options.train.console);
  print_remarks(read.remarks);
  if (read.outcome == ReadResult::Outcome::config_written) return 0;
  print_remarks(validate(options, command));
  return make_cache_files(options, command);
}

std::string markdown(CacheCommand command) {
  CacheOptions options;
  const OptionTable table = describe(options, command);
  return markdown_page(page(command), table);
}

}  // namespace

int run_cache_latents(std::span<const std::string> words) { return run(CacheCommand::latents, words); }
std::string cache_latents_page() { return markdown(CacheCommand::latents); }
int run_cache_text_encoder_outputs(std::span<const std::string> words) { return run(CacheCommand::text, words); }
std::string cache_text_encoder_outputs_page() { return markdown(CacheCommand::text); }

}  // namespace difftune
