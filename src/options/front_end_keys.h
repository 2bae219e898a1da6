// Keys that graphical front ends put into config files although no training script has such an option.
#pragma once

#include <string_view>

namespace difftune {

struct FrontEndKey {
  std::string_view key;
  std::string_view advice;  // what it would take to get what the key asks for; "" where it asks for nothing
};

// The entry for `key`, or null. Sources: kohya_ss (kohya_gui/lora_gui.py), lora-scripts (mikazuki/schema/*.ts).
const FrontEndKey* find_front_end_key(std::string_view key);

}  // namespace difftune
