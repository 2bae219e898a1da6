#include "train/listeners/save_listener.h"

#include "base/error.h"
#include "base/log.h"

namespace difftune {
namespace {

void remove_outdated(const std::optional<fs::path>& path) {
  if (!path || !fs::exists(*path)) return;
  std::error_code error;
  fs::remove_all(*path, error);
  if (error) {
    log::warning("{}: the older save cannot be removed ({})", path->string(), error.message());
  } else {
    log::info("removed the older {}", path->string());
  }
}

}  // namespace

void SaveListener::save_weights(const fs::path& file, int64_t step, int64_t epoch) const {
  save_weights_(file, step, epoch);
  log::info("saved {}", file.string());
}

void SaveListener::save_state(const fs::path& folder) const {
  save_run_state(folder, take_snapshot_());
  log::info("saved the state {}", folder.string());
}

void SaveListener::on_step(int64_t step, int64_t epoch) {
  if (!names_.saves_step(step)) return;
  // ss_epoch of a step's file counts finished epochs, as in the reference.
  save_weights(names_.step_file(step), step, epoch);
  if (names_.saves_states()) {
    save_state(names_.step_state(step));
    remove_outdated(names_.outdated_step_state(step));
  }
  remove_outdated(names_.outdated_step_file(step));
}

void SaveListener::on_epoch_end(const EpochReport& report) {
  const int64_t epoch = report.epoch + 1;
  if (!names_.saves_epoch(epoch)) return;
  save_weights(names_.epoch_file(epoch), report.step, epoch);
  remove_outdated(names_.outdated_epoch_file(epoch));
  if (names_.saves_states()) {
    save_state(names_.epoch_state(epoch));
    remove_outdated(names_.outdated_epoch_state(epoch));
  }
}

void SaveListener::on_end(int64_t step, int64_t num_epochs, bool is_interrupted) {
  if (is_interrupted) {
    save_weights(names_.step_file(step), step, num_epochs);
    save_state(names_.step_state(step));
    return;
  }
  if (names_.saves_last_state()) save_state(names_.last_state());
  save_weights(names_.last_file(), step, num_epochs);
}

}  // namespace difftune
