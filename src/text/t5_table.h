// The tokenizer of google/t5-v1_1-xxl, embedded in the program (assets/t5_v1_1_spiece.model.gz).
#pragma once

#include <string>

namespace difftune {

// The bytes of spiece.model.
std::string unpack_t5_table();

}  // namespace difftune
