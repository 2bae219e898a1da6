#include "options/groups/validation.h"

#include "options/option_table.h"

namespace difftune {

void describe(ValidationOptions& options, OptionTable& table) {
  table.group("Validation");
  table.add("validation_split", &options.validation_split,
            "Share of the images that is kept out of training to measure the loss on.", {.minimum = 0, .maximum = 1});
  table.add("validation_seed", &options.validation_seed, "Seed of that choice; --seed without it.",
            {.minimum = 0, .maximum = 4294967295.0});
  table.add("validate_every_n_steps", &options.validate_every_n_steps, "Measure after every Nth step.",
            {.unit = "steps", .minimum = 1});
  table.add("validate_every_n_epochs", &options.validate_every_n_epochs, "Measure after every Nth epoch.",
            {.unit = "epochs", .minimum = 1});
  table.add("max_validation_steps", &options.max_validation_steps, "Batches measured at most.",
            {.unit = "batches", .minimum = 1});
}

}  // namespace difftune
