#include "commands/show_metadata.h"

#include <fmt/core.h>

#include <map>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "commands/run_tool.h"
#include "families/family_table.h"
#include "options/tools/tool_options.h"
#include "weights/open_weights.h"

namespace difftune {
namespace {

struct Options {
  std::string model;
  bool json = false;
  ToolRunOptions run;
};

OptionTable describe(Options& options) {
  OptionTable table;
  table.group("Options");
  table.add("model", &options.model, "The file: a LoRA or a checkpoint.", {.metavar = "FILE", .required = true});
  table.add("json", &options.json,
            "Print one JSON object with facts about the file (size, tensors, dtypes, kind of model) and its metadata, "
            "in which texts that hold JSON are taken apart.");
  describe(options.run, table);
  return table;
}

CommandPage page() {
  return {.name = "show_metadata",
          .summary = std::string(kShowMetadataSummary),
          .example = "difftune show_metadata --model lora.safetensors"};
}

// Deeper texts are no metadata, and printing them would exhaust the stack.
constexpr int kMaxDepth = 100;

// A text that holds a JSON object or list, e.g. ss_tag_frequency, as what it holds.
nlohmann::json unpacked(const std::string& text) {
  if (text.starts_with('{') || text.starts_with('[')) {
    bool is_too_deep = false;
    const auto limit_depth = [&](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
      is_too_deep |= depth > kMaxDepth;
      return depth <= kMaxDepth;
    };
    nlohmann::json value = nlohmann::json::parse(text, limit_depth, /*allow_exceptions=*/false);
    if (!value.is_discarded() && !is_too_deep) return value;
  }
  return text;
}

nlohmann::ordered_json facts(const TensorSource& file) {
  int64_t num_parameters = 0;
  std::map<std::string, int64_t> num_tensors_of;
  for (const std::string& key : file.keys()) {
    const TensorInfo info = file.info(key);
    num_parameters += info.num_elements();
    ++num_tensors_of[std::string(dtype_name(info.dtype))];
  }
  nlohmann::ordered_json result;
  result["file"] = file.path().string();
  result["num_bytes"] = fs::file_size(file.path());
  for (const FamilyRow& row : family_table()) {
    if (!row.matches(file)) continue;
    result["kind"] = row.name;
    break;
  }
  result["num_tensors"] = file.keys().size();
  result["num_parameters"] = num_parameters;
  result["tensors_by_dtype"] = num_tensors_of;
  result["metadata"] = nlohmann::json::object();
  for (const auto& [key, text] : file.metadata()) result["metadata"][key] = unpacked(text);
  return result;
}

int work(Options& options) {
  const auto file = open_weights(options.model);
  if (options.run.dry_run) {
    log::info("{}: {} tensors, {} entries of metadata", options.model, file->keys().size(), file->metadata().size());
    return 0;
  }
  if (options.json) {
    fmt::print("{}\n", facts(*file).dump(2));
    return 0;
  }
  if (file->metadata().empty()) {
    log::error("No metadata found");
    return 0;
  }
  fmt::print("{}\n", nlohmann::json(file->metadata()).dump(4, ' ', true));
  return 0;
}

}  // namespace

int run_show_metadata(std::span<const std::string> words) { return run_tool<Options>(page(), words, work); }
std::string show_metadata_page() { return tool_page<Options>(page()); }

}  // namespace difftune
