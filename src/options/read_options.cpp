#include "options/read_options.h"

#include <fmt/ranges.h>

#include <map>

#include "base/error.h"
#include "options/command_line.h"
#include "options/config_file.h"

namespace difftune {
namespace {

// Fills the fields and remembers where each option's value came from.
class Filler {
 public:
  explicit Filler(OptionTable& table) : table_(table) {}

  void apply(const std::vector<Assignment>& assignments) {
    for (const Assignment& assignment : assignments) {
      write_field(table_.specs()[assignment.option].field, assignment.value);
      origins_[assignment.option] = assignment.origin;
    }
  }

  std::string text_of(std::string_view name) const {
    const auto option = table_.find(name);
    if (!option) return "";
    const OptionValue value = table_.specs()[*option].value();
    const auto* text = std::get_if<std::string>(&value);
    return text ? *text : "";
  }

  bool is_on(std::string_view name) const {
    const auto option = table_.find(name);
    return option && !table_.specs()[*option].is_default();
  }

  // Refuses options that are not available yet, all of them in one message; notes those without effect.
  void check_availability(std::vector<Remark>& remarks) const {
    std::vector<std::string> refused;
    for (const auto& [option, origin] : origins_) {
      const OptionSpec& spec = table_.specs()[option];
      if (spec.availability == Availability::available || spec.is_default()) continue;
      if (spec.availability == Availability::later) {
        refused.push_back(fmt::format("{} is not available yet: {}", origin, spec.reason));
      } else {
        remarks.push_back({false, fmt::format("{} has no effect: {}", origin, spec.reason)});
      }
    }
    if (!refused.empty()) throw UsageError(fmt::format("{}", fmt::join(refused, "; ")));
  }

  void note_dropped_secrets(std::vector<Remark>& remarks) const {
    for (const OptionSpec& spec : table_.specs()) {
      if (!spec.secret || spec.is_default()) continue;
      remarks.push_back({false, fmt::format("--{} is a secret and was not written", spec.name)});
    }
  }

 private:
  OptionTable& table_;
  std::map<size_t, std::string> origins_;
};

}  // namespace

ReadResult read_options(OptionTable& table, std::span<const std::string> words) {
  ReadResult result;
  const CommandLine line = parse_command_line(table, words);
  if (line.help_wanted) {
    result.outcome = ReadResult::Outcome::help_wanted;
    return result;
  }
  Filler filler(table);
  filler.apply(line.assignments);
  const std::string config_file = filler.text_of("config_file");
  if (filler.is_on("output_config")) {
    if (config_file.empty()) throw UsageError("--output_config needs --config_file FILE, the file to write");
    const auto path = config_file_path(config_file);
    write_config_file(table, path);
    result.remarks.push_back({false, fmt::format("the options were written to {}", path.string())});
    filler.note_dropped_secrets(result.remarks);
    result.outcome = ReadResult::Outcome::config_written;
    return result;
  }
  if (!config_file.empty()) {
    filler.apply(read_config_file(table, config_file_path(config_file), result.remarks));
    filler.apply(line.assignments);
  }
  filler.check_availability(result.remarks);
  return result;
}

}  // namespace difftune
