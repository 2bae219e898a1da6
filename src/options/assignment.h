// One option that was given a value, and where.
#pragma once

#include <cstddef>
#include <string>

#include "options/option_value.h"

namespace difftune {

struct Assignment {
  size_t option = 0;  // position in OptionTable::specs()
  OptionValue value;
  std::string origin;  // for messages: "--seed", or "lora.toml:12: seed"
};

}  // namespace difftune
