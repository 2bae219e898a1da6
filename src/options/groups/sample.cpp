#include "options/groups/sample.h"

#include "options/option_table.h"

namespace difftune {

void describe(SampleOptions& options, OptionTable& table) {
  table.group("Sample pictures");
  table.add("sample_prompts", &options.sample_prompts, "Prompts for sample pictures, in a .txt, .toml or .json file.",
            {.metavar = "FILE"});
  table.add("sample_every_n_steps", &options.sample_every_n_steps,
            "Generate them after every Nth step; 0 or less is off.", {.unit = "steps"});
  table.add("sample_every_n_epochs", &options.sample_every_n_epochs,
            "Generate them after every Nth epoch; replaces the steps; 0 or less is off.", {.unit = "epochs"});
  table.add("sample_at_first", &options.sample_at_first, "Generate them before training too.");
  table.add("sample_sampler", &options.sample_sampler, "Sampler of prompts that do not name one.",
            {.choices = {"ddim", "pndm", "lms", "euler", "euler_a", "heun", "dpm_2", "dpm_2_a", "dpmsolver",
                         "dpmsolver++", "dpmsingle", "k_lms", "k_euler", "k_euler_a", "k_dpm_2", "k_dpm_2_a"}});
}

}  // namespace difftune
