// What the commands that turn files into files have in common.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace difftune {

class OptionTable;

struct ToolRunOptions {
  bool dry_run = false;
};

void describe(ToolRunOptions& options, OptionTable& table);

// Options that many of the tools have, each described here once.

// The number formats of sd-scripts' tools: float, fp16 and bf16.
const std::vector<std::string>& tool_precisions();

void describe_save_to(std::string& save_to, OptionTable& table);
// `otherwise` is the format without the option: "float".
void describe_save_precision(std::optional<std::string>& save_precision, const char* otherwise, OptionTable& table);
// The group with --precision, which `what` are in, and --save_precision, which follows it.
void describe_precisions(std::string& precision, std::optional<std::string>& save_precision, const char* what,
                         OptionTable& table);
// The group of --no_metadata, for a LoRA.
void describe_lora_metadata(bool& no_metadata, OptionTable& table);
void describe_block_weights(std::vector<std::string>& lbws, const char* lengths, OptionTable& table);
void describe_exact_svd(bool& exact_svd, OptionTable& table);

}  // namespace difftune
