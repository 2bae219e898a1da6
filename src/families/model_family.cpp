#include "families/model_family.h"

#include <algorithm>

#include "base/error.h"

namespace difftune {

void ModelFamily::load(Component part) {
  if (is_loaded(part)) return;
  read(part);
  loaded_[static_cast<int>(part)] = true;
  if (part == Component::text_encoders) kept_text_encoders_.reset();
}

void ModelFamily::unload(Component part) {
  if (!is_loaded(part)) return;
  loaded_[static_cast<int>(part)] = false;
  drop(part);
}

void ModelFamily::unload_text_encoders_except(const std::vector<int>& kept) {
  if (kept.empty()) return unload(Component::text_encoders);
  DT_CHECK(is_loaded(Component::text_encoders), "the text encoders are loaded");
  kept_text_encoders_ = kept;
  drop(Component::text_encoders);
}

bool ModelFamily::has_text_encoder(int number) const {
  if (!is_loaded(Component::text_encoders)) return false;
  return !kept_text_encoders_ ||
         std::find(kept_text_encoders_->begin(), kept_text_encoders_->end(), number) != kept_text_encoders_->end();
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
