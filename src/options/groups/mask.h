// Which parts of an image count for the loss.
#pragma once

#include <optional>
#include <string>

namespace difftune {

class OptionTable;

struct MaskOptions {
  bool alpha_mask = false;
  bool masked_loss = false;
  std::optional<std::string> conditioning_data_dir;
};

void describe(MaskOptions& options, OptionTable& table);

}  // namespace difftune
