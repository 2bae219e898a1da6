// Checks of an optimizer's settings; each throws UserError that names the setting in --optimizer_args.
#pragma once

#include <string_view>

#include "base/error.h"

namespace difftune {

inline void check_beta(std::string_view name, double value) {
  if (!(value >= 0 && value < 1)) fail("optimizer_args: {} is {}, expected 0 or more and below 1", name, value);
}

inline void check_not_negative(std::string_view name, double value) {
  if (!(value >= 0)) fail("optimizer_args: {} is {}, expected 0 or more", name, value);
}

}  // namespace difftune
