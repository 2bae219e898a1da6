#include "train/output_names.h"

#include <fmt/format.h>

#include <algorithm>

namespace difftune {
namespace {

std::optional<int64_t> epochs_between_saves(const OutputOptions& output, int64_t num_epochs) {
  const int64_t ratio = output.save_n_epoch_ratio.value_or(0);
  if (ratio > 0) return std::max<int64_t>(num_epochs / ratio, 1);
  return output.save_every_n_epochs;
}

// The save that falls out of the last `kept` saves of every `every` epochs.
std::optional<int64_t> outdated_epoch(int64_t epoch, std::optional<int64_t> every, std::optional<int64_t> kept) {
  if (!every || !kept) return std::nullopt;
  const int64_t outdated = epoch - *every * *kept;
  return outdated > 0 ? std::optional(outdated) : std::nullopt;
}

// The newest save that is more than `kept` steps old: kept = 30 with a save every 10 steps removes step 10 at step 50.
std::optional<int64_t> outdated_step(int64_t step, std::optional<int64_t> every, std::optional<int64_t> kept) {
  if (!every || !kept) return std::nullopt;
  const int64_t last_old_step = step - *kept - 1;
  return last_old_step >= *every ? std::optional(last_old_step - last_old_step % *every) : std::nullopt;
}

}  // namespace

OutputNames::OutputNames(const OutputOptions& output, const StateOptions& state, int64_t num_epochs)
    : output_(output),
      state_(state),
      num_epochs_(num_epochs),
      epochs_between_saves_(epochs_between_saves(output, num_epochs)) {}

bool OutputNames::saves_epoch(int64_t epoch) const {
  return epochs_between_saves_ && epoch % *epochs_between_saves_ == 0 && epoch < num_epochs_;
}

bool OutputNames::saves_step(int64_t step) const {
  return output_.save_every_n_steps && step > 0 && step % *output_.save_every_n_steps == 0;
}

fs::path OutputNames::in_folder(const char* fallback_name, const std::string& rest) const {
  return fs::path(output_.output_dir) / (output_.output_name.value_or(fallback_name) + rest);
}

fs::path OutputNames::epoch_file(int64_t epoch) const {
  return in_folder("epoch", fmt::format("-{:06}.{}", epoch, output_.save_model_as));
}

fs::path OutputNames::step_file(int64_t step) const {
  return in_folder("at", fmt::format("-step{:08}.{}", step, output_.save_model_as));
}

fs::path OutputNames::last_file() const { return in_folder("last", "." + output_.save_model_as); }

fs::path OutputNames::epoch_state(int64_t epoch) const {
  return in_folder("epoch", fmt::format("-{:06}-state", epoch));
}

fs::path OutputNames::step_state(int64_t step) const { return in_folder("at", fmt::format("-step{:08}-state", step)); }

fs::path OutputNames::last_state() const { return in_folder("last", "-state"); }

std::optional<fs::path> OutputNames::outdated_epoch_file(int64_t epoch) const {
  const auto outdated = outdated_epoch(epoch, epochs_between_saves_, output_.save_last_n_epochs);
  return outdated ? std::optional(epoch_file(*outdated)) : std::nullopt;
}

std::optional<fs::path> OutputNames::outdated_step_file(int64_t step) const {
  const auto outdated = outdated_step(step, output_.save_every_n_steps, output_.save_last_n_steps);
  return outdated ? std::optional(step_file(*outdated)) : std::nullopt;
}

std::optional<fs::path> OutputNames::outdated_epoch_state(int64_t epoch) const {
  const auto kept = state_.save_last_n_epochs_state ? state_.save_last_n_epochs_state : output_.save_last_n_epochs;
  const auto outdated = outdated_epoch(epoch, epochs_between_saves_, kept);
  return outdated ? std::optional(epoch_state(*outdated)) : std::nullopt;
}

std::optional<fs::path> OutputNames::outdated_step_state(int64_t step) const {
  const auto kept = state_.save_last_n_steps_state ? state_.save_last_n_steps_state : output_.save_last_n_steps;
  const auto outdated = outdated_step(step, output_.save_every_n_steps, kept);
  return outdated ? std::optional(step_state(*outdated)) : std::nullopt;
}

}  // namespace difftune
