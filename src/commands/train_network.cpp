#include "commands/train_network.h"

#include <fmt/core.h>

#include "base/patient_threads.h"
#include "commands/console.h"
#include "options/command_page.h"
#include "options/read_options.h"
#include "options/train_network_options.h"
#include "train/logged_options.h"
#include "train/model_spec.h"
#include "train/train_lora.h"

namespace difftune {
namespace {

CommandPage page(const TrainCommand& command) {
  return {.name = std::string(command.name),
          .summary = std::string(command.summary),
          .example = std::string(command.example)};
}

}  // namespace

int run_train_command(const TrainCommand& command, std::span<const std::string> words) {
  TrainNetworkOptions options;
  OptionTable table = describe(options, command);
  const ReadResult read = read_options(table, words);
  if (read.outcome == ReadResult::Outcome::help_wanted) {
    fmt::print("{}", help_text(page(command), table, terminal_width()));
    return 0;
  }
  if (!options.run.dry_run) let_waiting_threads_sleep();
  configure_log(options.console);
  print_remarks(read.remarks);
  if (read.outcome == ReadResult::Outcome::config_written) return 0;
  print_remarks(validate(options, command));
  embed_thumbnail(options.metadata);
  return train_lora(options, command, {.toml = configuration_toml(table), .table = logged_options(table)});
}

std::string train_command_page(const TrainCommand& command) {
  TrainNetworkOptions options;
  const OptionTable table = describe(options, command);
  return markdown_page(page(command), table);
}

}  // namespace difftune
