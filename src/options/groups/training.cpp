#include "options/groups/training.h"

#include "options/option_table.h"

namespace difftune {

void describe(TrainingOptions& options, OptionTable& table) {
  table.group("Training");
  table.add("max_train_steps", &options.max_train_steps, "Length of the run in optimizer steps.",
            {.unit = "steps", .minimum = 1});
  table.add("max_train_epochs", &options.max_train_epochs, "Length of the run in epochs; replaces --max_train_steps.",
            {.unit = "epochs", .minimum = 1});
  table.add("seed", &options.seed,
            "Start of all random numbers; the same seed gives the same run. Drawn and logged without it.",
            {.minimum = 0, .maximum = 4294967295.0});
  table.add("gradient_accumulation_steps", &options.gradient_accumulation_steps,
            "Batches whose gradients are added up for one optimizer step.", {.unit = "batches", .minimum = 1});
}

}  // namespace difftune
