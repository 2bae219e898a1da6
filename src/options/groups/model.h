// The checkpoint that is trained on, and how it is loaded.
#pragma once

#include <optional>
#include <string>

namespace difftune {

class OptionTable;

struct ModelOptions {
  bool v2 = false;
  bool v_parameterization = false;
  std::string pretrained_model_name_or_path;
  std::optional<std::string> tokenizer_cache_dir;
  std::optional<std::string> vae;
  bool no_half_vae = false;
  bool lowram = false;
  bool highvram = false;
};

void describe(ModelOptions& options, OptionTable& table);

}  // namespace difftune
