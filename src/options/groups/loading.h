// How the files of weights are read.
#pragma once

namespace difftune {

class OptionTable;

struct LoadingOptions {
  bool disable_mmap_load_safetensors = false;
};

void describe(LoadingOptions& options, OptionTable& table);

}  // namespace difftune
