// Uploads to the Hugging Face hub.
#pragma once

#include <optional>
#include <string>

namespace difftune {

class OptionTable;

struct HuggingfaceOptions {
  std::optional<std::string> huggingface_repo_id;
  std::optional<std::string> huggingface_repo_type;
  std::optional<std::string> huggingface_path_in_repo;
  std::optional<std::string> huggingface_token;
  std::optional<std::string> huggingface_repo_visibility;
  bool save_state_to_huggingface = false;
  bool resume_from_huggingface = false;
  bool async_upload = false;
};

void describe(HuggingfaceOptions& options, OptionTable& table);

}  // namespace difftune
