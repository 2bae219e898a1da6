// `difftune train_network`: trains a LoRA.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace difftune {

inline constexpr std::string_view kTrainNetworkSummary = "Trains a LoRA for Stable Diffusion 1.x or 2.x.";

// Runs with the words behind the command's name. Throws UsageError and UserError.
int run_train_network(std::span<const std::string> words);

// The Markdown of docs/train_network.md.
std::string train_network_page();

}  // namespace difftune
