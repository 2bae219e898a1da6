#include "commands/write_planned.h"

#include "base/log.h"

namespace difftune {

int write_planned(const CheckpointOutput& output, const std::vector<TensorRecipe>& recipes, const Verb& verb,
                  std::string_view what, bool is_dry_run) {
  if (is_dry_run) {
    require_free_space(output.path, recipes);
    log::info("would {} {}", verb.plain, what);
    return 0;
  }
  write_checkpoint(output, recipes, std::string(verb.doing));
  log::info("{} {}", verb.done, what);
  return 0;
}

}  // namespace difftune
