#include "options/train_commands.h"

#include <fmt/format.h>

#include "base/error.h"
#include "options/train_network_options.h"

namespace difftune {
void check_sd(TrainNetworkOptions& options, std::vector<Remark>& remarks) {
  if (options.model.v_parameterization && !options.model.v2) {
    remarks.push_back({true, "--v_parameterization without --v2 is right only for SD 1 models made for v-prediction"});
  }
  if (options.model.v2 && options.text.clip_skip) {
    remarks.push_back(
        {true, "--clip_skip with --v2 counts from a text encoder that already leaves out its last layer"});
  }
  if (const auto& rates = options.network.text_encoder_lr; rates.size() > 1) {
    remarks.push_back({false, fmt::format("this model has one text encoder: of --text_encoder_lr only the first value, "
                                          "{}, is used",
                                          rates[0])});
  }
}

void add_sdxl_options(TrainNetworkOptions& options, OptionTable& table) {
  describe(options.text_cache, table);
  describe(options.loading, table);
}

void check_sdxl(TrainNetworkOptions& options, std::vector<Remark>& remarks) {
  if (options.model.v2) throw UsageError("--v2 does not go with Stable Diffusion XL: leave it out");
  if (options.text.clip_skip) {
    remarks.push_back({true, "--clip_skip has no effect: Stable Diffusion XL always takes the last layer but one"});
  }
  if (options.text_cache.cache_text_encoder_outputs && !options.network.network_train_unet_only) {
    throw UsageError(
        "--cache_text_encoder_outputs leaves the text encoders as they are: add --network_train_unet_only, or leave "
        "the cache out to train them");
  }
}

const TrainCommand& train_command(std::string_view name) {
  for (const TrainCommand& command : kTrainCommands) {
    if (command.name == name) return command;
  }
  DT_CHECK(false, "no training command is called {}", name);
  return kTrainCommands[0];
}

}  // namespace difftune
