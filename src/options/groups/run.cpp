#include "options/groups/run.h"

#include "options/option_table.h"

namespace difftune {

void describe(RunOptions& options, OptionTable& table) {
  table.group("This run");
  table.add("config_file", &options.config_file,
            "Read options from this .toml file (.toml is added where missing); the command line wins.",
            {.metavar = "FILE", .transient = true});
  table.add("output_config", &options.output_config,
            "Write the options that are not defaults to --config_file and stop.", {.transient = true});
  table.add("dry_run", &options.dry_run, "Print the plan of the run (images, buckets, steps, memory) and stop.",
            {.transient = true});
  table.add("reference_quirks", &options.reference_quirks,
            "Also do what sd-scripts does where it departs from the published models or its own documentation.");
}

}  // namespace difftune
