#include "options/groups/text_cache.h"

#include "options/option_table.h"

namespace difftune {

void describe(TextCacheOptions& options, OptionTable& table) {
  table.group("Text encoder");
  table.add("cache_text_encoder_outputs", &options.cache_text_encoder_outputs,
            "Encode every caption once and give the text encoders' memory back; captions must be the same in every "
            "step.");
  table.add("cache_text_encoder_outputs_to_disk", &options.cache_text_encoder_outputs_to_disk,
            "Keep the outputs in .npz files beside the images, for this run and the next; turns "
            "--cache_text_encoder_outputs on.");
}

void describe_text_encoder_batch_size(TextCacheOptions& options, OptionTable& table) {
  table.group("Text encoder");
  table.add("text_encoder_batch_size", &options.text_encoder_batch_size,
            "Captions that the text encoders encode at a time while caching; --train_batch_size without it.",
            {.unit = "captions", .minimum = 1});
}

}  // namespace difftune
