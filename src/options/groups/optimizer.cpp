#include "options/groups/optimizer.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "options/option_table.h"

namespace difftune {
namespace {

constexpr const char* kAvailable[] = {"AdamW", "SGDNesterov", "Lion", "Adafactor"};

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

}  // namespace

std::string optimizer_name(const OptimizerOptions& options) {
  if (options.use_lion_optimizer) {
    if (!options.optimizer_type.empty()) {
      throw UsageError("--use_lion_optimizer and --optimizer_type both name an optimizer; give one of them");
    }
    return "Lion";
  }
  if (options.optimizer_type.empty()) return "AdamW";
  for (const char* name : kAvailable) {
    if (lower(name) == lower(options.optimizer_type)) return name;
  }
  throw UsageError(fmt::format("--optimizer_type {} is not available yet; available: {}", options.optimizer_type,
                               fmt::join(kAvailable, ", ")));
}

void describe(OptimizerOptions& options, OptionTable& table) {
  table.group("Optimizer");
  table.add("optimizer_type", &options.optimizer_type,
            "Name of the optimizer, in any case of letters; AdamW without it.", {.metavar = "NAME"});
  table.add("optimizer_args", &options.optimizer_args, "Its settings, e.g. weight_decay=0.01 betas=0.9,0.999.",
            {.metavar = "KEY=VALUE ..."});
  table.add("use_8bit_adam", &options.use_8bit_adam, "The same as --optimizer_type AdamW8bit.");
  table.add("use_lion_optimizer", &options.use_lion_optimizer, "The same as --optimizer_type Lion.");
  table.add("learning_rate", &options.learning_rate, "Step size of everything that has no learning rate of its own.",
            {.minimum = 0});
  table.add("max_grad_norm", &options.max_grad_norm,
            "Gradients with a larger norm are scaled down to it; 0 leaves them.", {.minimum = 0});
  table.add("fused_backward_pass", &options.fused_backward_pass,
            "Step each parameter as soon as its gradient is there, to save memory.");
}

}  // namespace difftune
