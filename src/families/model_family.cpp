#include "families/model_family.h"

namespace difftune {

void ModelFamily::load(Component part) {
  if (is_loaded(part)) return;
  read(part);
  loaded_[static_cast<int>(part)] = true;
}

void ModelFamily::unload(Component part) {
  if (!is_loaded(part)) return;
  drop(part);
  loaded_[static_cast<int>(part)] = false;
}

std::unique_ptr<Objective> ModelFamily::make_objective(const ObjectiveSettings& settings, at::Device device) const {
  return std::make_unique<DdpmObjective>(settings.ddpm, device);
}

std::unique_ptr<Sampler> ModelFamily::make_sampler(const SamplerSettings& settings) const {
  DdpmScheduleConfig schedule;
  schedule.zero_terminal_snr = settings.zero_terminal_snr && !settings.sampler.reference_quirks;
  return difftune::make_sampler(settings.sampler, DdpmSchedule(schedule));
}

}  // namespace difftune
