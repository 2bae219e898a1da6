#include "options/tools/tool_options.h"

#include "options/option_table.h"

namespace difftune {

void describe(ToolRunOptions& options, OptionTable& table) {
  table.group("This run");
  table.add("dry_run", &options.dry_run, "Check the input, print what would be written and stop.", {.transient = true});
}

}  // namespace difftune
