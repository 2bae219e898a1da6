#include "options/groups/caption.h"

#include "options/option_table.h"

namespace difftune {

void describe(CaptionOptions& options, OptionTable& table) {
  table.group("Captions");
  table.add("caption_extension", &options.caption_extension, "Ending of the caption file beside each image, e.g. .txt.",
            {.metavar = "EXT"});
  table.add("caption_extention", &options.caption_extention, "Old spelling of --caption_extension; wins over it.",
            {.metavar = "EXT"});
  table.add("caption_separator", &options.caption_separator, "What separates the tags of a caption.");
  table.add("shuffle_caption", &options.shuffle_caption, "Put the tags in a new random order every time.");
  table.add("keep_tokens", &options.keep_tokens, "Leave the first N tags where they are when shuffling or dropping.",
            {.unit = "tags", .minimum = 0});
  table.add("keep_tokens_separator", &options.keep_tokens_separator,
            "Text in a caption that ends the fixed part (and begins a fixed tail where it occurs twice); goes before "
            "--keep_tokens.");
  table.add("secondary_separator", &options.secondary_separator,
            "Separator inside a group of tags that stays together; becomes --caption_separator in the final caption.");
  table.add("enable_wildcard", &options.enable_wildcard,
            "Choose one of {a|b|c} in a caption, and one line of a caption with several, at random.");
  table.add("caption_prefix", &options.caption_prefix, "Text put before every caption.");
  table.add("caption_suffix", &options.caption_suffix, "Text put after every caption.");
  table.add("caption_dropout_rate", &options.caption_dropout_rate,
            "Share of uses of an image for which the caption is left empty.", {.minimum = 0, .maximum = 1});
  table.add("caption_dropout_every_n_epochs", &options.caption_dropout_every_n_epochs,
            "Leave all captions empty in every Nth epoch; 0 never does.", {.unit = "epochs", .minimum = 0});
  table.add("caption_tag_dropout_rate", &options.caption_tag_dropout_rate,
            "Share of tags that are left out, each by chance.", {.minimum = 0, .maximum = 1});
  table.add("token_warmup_min", &options.token_warmup_min,
            "Tags that are used at the first step when their number grows.", {.unit = "tags", .minimum = 0});
  table.add("token_warmup_step", &options.token_warmup_step,
            "Steps until all tags are used; below 1 it is a share of the run, 0 uses all tags at once.",
            {.unit = "steps", .minimum = 0});
}

}  // namespace difftune
