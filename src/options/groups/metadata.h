// What the saved file says about itself.
#pragma once

#include <optional>
#include <string>

namespace difftune {

class OptionTable;

struct MetadataOptions {
  std::optional<std::string> metadata_title;
  std::optional<std::string> metadata_author;
  std::optional<std::string> metadata_description;
  std::optional<std::string> metadata_license;
  std::optional<std::string> metadata_tags;
  std::optional<std::string> metadata_usage_hint;
  std::optional<std::string> metadata_thumbnail;
  std::optional<std::string> metadata_merged_from;
  std::optional<std::string> metadata_trigger_phrase;
  std::optional<std::string> metadata_preprocessor;
  std::optional<std::string> metadata_is_negative_embedding;
  std::optional<std::string> training_comment;
  bool no_metadata = false;
};

void describe(MetadataOptions& options, OptionTable& table);

}  // namespace difftune
