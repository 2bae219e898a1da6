// How a tool ends whose output is one planned checkpoint.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "weight_tools/checkpoint_output.h"

namespace difftune {

// What a tool does, as progress and the closing line name it.
struct Verb {
  std::string_view plain, doing, done;  // "merge", "merging", "merged"
};

// Writes the tensors and reports `what`; a dry run checks the free space only and says what would be done. Returns the
// exit code.
int write_planned(const CheckpointOutput& output, const std::vector<TensorRecipe>& recipes, const Verb& verb,
                  std::string_view what, bool is_dry_run);

}  // namespace difftune
