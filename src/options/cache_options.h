// The options of `difftune cache_latents` and `difftune cache_text_encoder_outputs`: those of training as far as the
// reference's scripts have them, so that a training command line or config file works with its words.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "options/train_network_options.h"

namespace difftune {

struct CacheOptions {
  TrainNetworkOptions train;
  bool sdxl = false, flux = false;  // the reference's
  bool sd3 = false, lumina = false;
  bool skip_existing = false;
  std::optional<std::string> t5xxl_dtype;  // cache_text_encoder_outputs alone
};

enum class CacheCommand { latents, text };

// The training command whose options and models these are: "sdxl_train_network" for --sdxl.
std::string_view train_command_name(const CacheOptions& options);
// The reverse: "--sdxl"; "" for SD 1.x and 2.x, which need no flag.
std::string_view kind_flags(std::string_view train_command);

// Options that only matter to training are accepted and say so.
OptionTable describe(CacheOptions& options, CacheCommand command);

// Settles what follows from the options and checks them; see validate(TrainNetworkOptions&).
std::vector<Remark> validate(CacheOptions& options, CacheCommand command);

}  // namespace difftune
