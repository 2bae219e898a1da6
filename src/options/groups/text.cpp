#include "options/groups/text.h"

#include "options/option_table.h"

namespace difftune {

void describe(TextOptions& options, OptionTable& table) {
  table.group("Text encoder");
  table.add("max_token_length", &options.max_token_length,
            "Tokens of a caption that are used, in chunks of 75; 75 without it.",
            {.unit = "tokens", .choices = {"150", "225"}, .file_defaults = {"75"}});
  table.add("clip_skip", &options.clip_skip, "Use the text encoder's Nth layer from the end; the last one without it.",
            {.unit = "layers", .minimum = 1});
  table.add("weighted_captions", &options.weighted_captions,
            "Read (words:1.2), (words) and [words] in captions as more or less weight.");
}

}  // namespace difftune
