#include "train/logged_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace difftune {
namespace {

// Curves are shared more freely than the files of a run, so names of folders stay out.
constexpr std::array<std::string_view, 8> kPlaces = {
    "pretrained_model_name_or_path", "vae",          "tokenizer_cache_dir", "train_data_dir",
    "conditioning_data_dir",         "reg_data_dir", "output_dir",          "logging_dir"};

std::string table_cell(std::string_view text) {
  std::string cell;
  for (const char c : text) {
    if (c == '|' || c == '\\') cell += '\\';
    cell += c == '\n' || c == '\r' ? ' ' : c;
  }
  return cell;
}

}  // namespace

std::string logged_options(const OptionTable& table) {
  std::string text = "| option | value |\n|---|---|\n";
  for (const OptionSpec& spec : table.specs()) {
    if (spec.secret || spec.transient || std::find(kPlaces.begin(), kPlaces.end(), spec.name) != kPlaces.end()) {
      continue;
    }
    text += fmt::format("| {} | {} |\n", spec.name, table_cell(display_text(spec.value())));
  }
  return text;
}

}  // namespace difftune
