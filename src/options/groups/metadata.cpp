#include "options/groups/metadata.h"

#include "options/option_table.h"

namespace difftune {

void describe(MetadataOptions& options, OptionTable& table) {
  table.group("Metadata of the saved file");
  table.add("metadata_title", &options.metadata_title, "Title; --output_name without it.");
  table.add("metadata_author", &options.metadata_author, "Author.");
  table.add("metadata_description", &options.metadata_description, "Description.");
  table.add("metadata_license", &options.metadata_license, "License.");
  table.add("metadata_tags", &options.metadata_tags, "Tags, separated by commas.");
  table.add("metadata_usage_hint", &options.metadata_usage_hint, "How to use the weights.");
  table.add("metadata_thumbnail", &options.metadata_thumbnail, "A small picture: an image file or a data: URL.",
            {.metavar = "FILE|URL"});
  table.add("metadata_merged_from", &options.metadata_merged_from, "Models that this one was merged from.");
  table.add("metadata_trigger_phrase", &options.metadata_trigger_phrase, "Words that bring out what was trained.");
  table.add("metadata_preprocessor", &options.metadata_preprocessor, "How images were prepared.");
  table.add("metadata_is_negative_embedding", &options.metadata_is_negative_embedding,
            "Whether the file is a negative embedding.");
  table.add("training_comment", &options.training_comment, "Any text, saved as ss_training_comment.");
  table.add("no_metadata", &options.no_metadata, "Save only what programs need to load the file.");
}

}  // namespace difftune
