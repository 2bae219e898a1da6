#include "options/groups/output.h"

#include "options/option_table.h"

namespace difftune {

void describe(OutputOptions& options, OptionTable& table) {
  table.group("Output");
  table.add("output_dir", &options.output_dir, "Folder for the trained weights and states.",
            {.metavar = "DIR", .required = true});
  table.add("output_name", &options.output_name, "File name of the weights, without ending.", {.metavar = "NAME"});
  table.add("save_precision", &options.save_precision, "Precision of the saved weights; as trained without it.",
            {.choices = {"float", "fp16", "bf16"}});
  table.add("save_model_as", &options.save_model_as, "File format of the weights.",
            {.choices = {"ckpt", "pt", "safetensors"}});
  table.add("save_every_n_epochs", &options.save_every_n_epochs, "Save after every Nth epoch.",
            {.unit = "epochs", .minimum = 1});
  table.add("save_every_n_steps", &options.save_every_n_steps, "Save after every Nth step.",
            {.unit = "steps", .minimum = 1});
  table.add("save_n_epoch_ratio", &options.save_n_epoch_ratio,
            "Save about N times during the run; replaces --save_every_n_epochs.", {.minimum = 0});
  table.add("save_last_n_epochs", &options.save_last_n_epochs,
            "Keep the files of the last N epochs and delete older ones.", {.unit = "epochs", .minimum = 1});
  table.add("save_last_n_steps", &options.save_last_n_steps, "Delete files that are more than N steps old.",
            {.unit = "steps", .minimum = 1});
}

}  // namespace difftune
