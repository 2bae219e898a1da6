#include "options/groups/loading.h"

#include "options/option_table.h"

namespace difftune {

void describe(LoadingOptions& options, OptionTable& table) {
  table.group("Model");
  table.add("disable_mmap_load_safetensors", &options.disable_mmap_load_safetensors,
            "Read the checkpoint in one go before its first use, for disks where reading page by page is slow (network "
            "drives, WSL).");
}

}  // namespace difftune
