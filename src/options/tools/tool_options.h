// What the commands that turn files into files have in common.
#pragma once

namespace difftune {

class OptionTable;

struct ToolRunOptions {
  bool dry_run = false;
};

void describe(ToolRunOptions& options, OptionTable& table);

}  // namespace difftune
