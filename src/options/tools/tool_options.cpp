#include "options/tools/tool_options.h"

#include <fmt/format.h>

#include "options/option_table.h"

namespace difftune {

void describe(ToolRunOptions& options, OptionTable& table) {
  table.group("This run");
  table.add("dry_run", &options.dry_run, "Check the input, print what would be written and stop.", {.transient = true});
}

const std::vector<std::string>& tool_precisions() {
  static const std::vector<std::string> precisions = {"float", "fp16", "bf16"};
  return precisions;
}

void describe_save_to(std::string& save_to, OptionTable& table) {
  table.add("save_to", &save_to, "The file to write: .safetensors, or .ckpt or .pt for a PyTorch file.",
            {.metavar = "FILE", .required = true});
}

void describe_save_precision(std::optional<std::string>& save_precision, const char* otherwise, OptionTable& table) {
  table.add("save_precision", &save_precision, fmt::format("Number format of the file; {} without it.", otherwise),
            {.choices = tool_precisions()});
}

void describe_precisions(std::string& precision, std::optional<std::string>& save_precision, const char* what,
                         OptionTable& table) {
  table.group("Precision");
  table.add("precision", &precision, fmt::format("Number format {}.", what), {.choices = tool_precisions()});
  describe_save_precision(save_precision, "that of --precision", table);
}

void describe_lora_metadata(bool& no_metadata, OptionTable& table) {
  table.group("Metadata of the saved file");
  table.add("no_metadata", &no_metadata, "Write no modelspec entries, only the few that loading needs.");
}

void describe_block_weights(std::vector<std::string>& lbws, const char* lengths, OptionTable& table) {
  table.group("Block weights");
  table.add("lbws", &lbws,
            fmt::format("For each file of --models a list of factors for the blocks of the U-Net, such as "
                        "\"[1,0,0,0,1,1,1,1,1,1,1,1]\"; {}.",
                        lengths),
            {.metavar = "LIST ..."});
}

void describe_exact_svd(bool& exact_svd, OptionTable& table) {
  table.add("exact_svd", &exact_svd,
            "Compute all singular values of every layer, not only those that stay: several times slower, with the same "
            "result but for rounding.");
}

}  // namespace difftune
