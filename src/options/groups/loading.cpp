#include "options/groups/loading.h"

#include "options/option_table.h"

namespace difftune {

void describe(LoadingOptions& options, OptionTable& table) {
  table.group("Model");
  table.add("disable_mmap_load_safetensors", &options.disable_mmap_load_safetensors,
            "Read the checkpoint in one go instead of mapping it, for disks where reading page by page is slow.");
  table.no_effect("disable_mmap_load_safetensors",
                  "checkpoints are mapped in any case, and every page is read once; the result is the same");
}

}  // namespace difftune
