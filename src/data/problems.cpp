#include "data/problems.h"

#include "base/error.h"

namespace difftune {

void Problems::add(std::string problem) {
  const std::lock_guard lock(mutex_);
  problems_.insert(std::move(problem));
}

bool Problems::empty() const {
  const std::lock_guard lock(mutex_);
  return problems_.empty();
}

void Problems::fail_if_any() const {
  const std::lock_guard lock(mutex_);
  if (problems_.empty()) return;
  if (problems_.size() == 1) throw UserError(*problems_.begin());
  constexpr size_t kMaxShown = 20;
  std::string text = fmt::format("the training data has {} problems:", problems_.size());
  size_t shown = 0;
  for (const auto& problem : problems_) {
    if (shown++ == kMaxShown) {
      text += fmt::format("\n  ... and {} more", problems_.size() - kMaxShown);
      break;
    }
    text += "\n  " + problem;
  }
  throw UserError(text);
}

}  // namespace difftune
