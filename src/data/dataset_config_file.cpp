// The dataset file: which keys may stand where, and how they become a DatasetConfig.

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "data/buckets.h"
#include "data/dataset_config.h"
#include "data/json_config.h"
#include "data/python_text.h"
#include "image/resize.h"
#include "options/toml_reader.h"

namespace difftune {
namespace {

// The tables in which an option is looked up, the nearest first; the first that has it decides. Every table is asked,
// so that a bad value is found where it is overruled, too.
class Lookup {
 public:
  explicit Lookup(std::vector<TomlReader*> layers) : layers_(std::move(layers)) { std::erase(layers_, nullptr); }

  void read(std::string_view key, bool& out) const {
    if (const auto [value, layer] = first(key, &TomlReader::boolean); value) out = *value;
  }
  void read(std::string_view key, std::string& out) const {
    if (const auto [value, layer] = first(key, &TomlReader::string); value) out = *value;
  }
  void read(std::string_view key, std::optional<std::string>& out) const {
    if (auto [value, layer] = first(key, &TomlReader::string); value) out = std::move(*value);
  }
  void read(std::string_view key, int& out, int smallest) const {
    const auto [value, layer] = first(key, &TomlReader::integer);
    if (!value) return;
    if (*value < smallest || *value > 1'000'000'000) {
      layer->refuse(key, fmt::format("expected at least {}, got {}", smallest, *value));
    }
    out = static_cast<int>(*value);
  }
  void read(std::string_view key, double& out, double largest) const {
    const auto [value, layer] = first(key, &TomlReader::number);
    if (!value) return;
    if (!(*value >= 0 && *value <= largest)) {
      const std::string range = std::isinf(largest) ? "at least 0" : fmt::format("0 to {}", largest);
      layer->refuse(key, fmt::format("expected {}, got {}", range, *value));
    }
    out = *value;
  }
  void read(std::string_view key, SizePx& out) const {
    const auto [sides, layer] = first(key, &TomlReader::integers);
    if (!sides) return;
    const auto is_side = [](int64_t side) { return side >= 8 && side <= 65536; };
    if (sides->empty() || sides->size() > 2 || !std::all_of(sides->begin(), sides->end(), is_side)) {
      layer->refuse(
          key, fmt::format("expected a size or [width, height] from 8 to 65536 px, got {}", fmt::join(*sides, ", ")));
    }
    out = SizePx{static_cast<int>(sides->front()), static_cast<int>(sides->back())};
  }
  void read_interpolation(std::optional<std::string>& out) const {
    constexpr std::string_view kKey = "resize_interpolation";
    auto [value, layer] = first(kKey, &TomlReader::string);
    if (!value) return;
    try {
      parse_interpolation(*value);
    } catch (const UserError& error) {
      layer->refuse(kKey, error.what());
    }
    out = std::move(*value);
  }

  // Calls `visit` with every table that has `key`.
  template <typename Visit>
  void each(std::string_view key, const Visit& visit) const {
    for (auto* layer : layers_) {
      if (layer->has(key)) visit(*layer);
    }
  }

 private:
  template <typename T>
  std::pair<std::optional<T>, TomlReader*> first(std::string_view key,
                                                 std::optional<T> (TomlReader::*get)(std::string_view)) const {
    std::pair<std::optional<T>, TomlReader*> result;
    for (auto* layer : layers_) {
      auto value = (layer->*get)(key);
      if (value && !result.first) result = {std::move(value), layer};
    }
    return result;
  }

  std::vector<TomlReader*> layers_;
};

// Options that are known but not available are refused by name, unless they are off.
void refuse_unavailable(const Lookup& lookup, bool applies_alpha_mask) {
  const auto refuse_flag = [&](std::string_view key, std::string_view reason) {
    lookup.each(key, [&](TomlReader& table) {
      if (*table.boolean(key)) table.refuse(key, reason);
    });
  };
  refuse_flag("cache_info", "not available: leave it out, image sizes are read in parallel at each start");
  refuse_flag("color_aug", "not available: leave it out");
  if (!applies_alpha_mask) refuse_flag("alpha_mask", "not available yet, the loss is not masked: leave it out");
  lookup.each("face_crop_aug_range", [](TomlReader& table) {
    table.refuse("face_crop_aug_range", "not available: leave it out, or use random_crop");
  });
  lookup.each("custom_attributes", [](TomlReader& table) {
    const auto* value = table.value("custom_attributes");
    const auto* attributes = std::get_if<TomlTable>(&value->data);
    if (!attributes || !attributes->entries.empty()) table.refuse("custom_attributes", "not available: leave it out");
  });
}

void refuse_other_forms(TomlReader& subset) {
  if (subset.has("metadata_file")) {
    subset.refuse("metadata_file",
                  "a dataset described by a metadata json is not available yet: name an image_dir with "
                  "caption files beside the images");
  }
  if (subset.has("conditioning_data_dir")) {
    subset.refuse("conditioning_data_dir", "belongs to ControlNet training, which this command does not do");
  }
}

// Names the right place of a key that stands in the wrong table.
void refuse_misplaced(TomlReader& table, std::initializer_list<std::string_view> keys, std::string_view place) {
  for (const auto key : keys) {
    if (table.has(key)) table.refuse(key, fmt::format("cannot stand here, it belongs in {}", place));
  }
}

void refuse_misplaced_subset_keys(TomlReader& table) {
  refuse_misplaced(table, {"image_dir", "is_reg", "alpha_mask", "metadata_file", "conditioning_data_dir"},
                   "[[datasets.subsets]]");
}

SubsetConfig read_subset(TomlReader& table, const Lookup& lookup, const DatasetDefaults& defaults) {
  refuse_other_forms(table);
  refuse_misplaced(table,
                   {"batch_size", "bucket_no_upscale", "bucket_reso_steps", "enable_bucket", "max_bucket_reso",
                    "min_bucket_reso", "network_multiplier", "resolution", "validation_seed", "validation_split"},
                   "[[datasets]] or [general]");
  SubsetConfig subset = defaults.subset;
  subset.resize_interpolation = defaults.dataset.resize_interpolation;
  lookup.read("image_dir", subset.image_dir);
  subset.image_dir = without_trailing_slash(subset.image_dir);
  if (subset.image_dir.empty()) table.refuse("image_dir", "missing: name the folder with the images");
  refuse_unavailable(lookup, defaults.applies_alpha_mask);
  lookup.read("num_repeats", subset.num_repeats, 0);
  lookup.read("is_reg", subset.is_reg);
  lookup.read("class_tokens", subset.class_tokens);
  lookup.read("caption_extension", subset.caption_extension);
  lookup.read("shuffle_caption", subset.shuffle_caption);
  lookup.read("caption_separator", subset.caption_separator);
  lookup.read("keep_tokens", subset.keep_tokens, 0);
  lookup.read("keep_tokens_separator", subset.keep_tokens_separator);
  lookup.read("secondary_separator", subset.secondary_separator);
  lookup.read("enable_wildcard", subset.enable_wildcard);
  lookup.read("caption_prefix", subset.caption_prefix);
  lookup.read("caption_suffix", subset.caption_suffix);
  lookup.read("caption_dropout_rate", subset.caption_dropout_rate, 1.0);
  lookup.read("caption_dropout_every_n_epochs", subset.caption_dropout_every_n_epochs, 0);
  lookup.read("caption_tag_dropout_rate", subset.caption_tag_dropout_rate, 1.0);
  lookup.read("token_warmup_min", subset.token_warmup_min, 0);
  lookup.read("token_warmup_step", subset.token_warmup_step, INFINITY);
  lookup.read("flip_aug", subset.flip_aug);
  lookup.read("random_crop", subset.random_crop);
  lookup.read("alpha_mask", subset.alpha_mask);
  lookup.read_interpolation(subset.resize_interpolation);
  table.finish();
  return subset;
}

void note_options_without_effect(const Lookup& lookup, const std::string& file) {
  lookup.each("validation_split", [](TomlReader& table) {
    if (*table.number("validation_split") != 0) {
      table.refuse("validation_split", "validation during training is not available yet: leave it out");
    }
  });
  lookup.each("validation_seed", [&](TomlReader& table) {
    table.integer("validation_seed");
    log::warning("{}:{}: validation_seed has no effect without validation_split", file,
                 table.line_of("validation_seed"));
  });
  lookup.each("network_multiplier", [&](TomlReader& table) {
    if (*table.number("network_multiplier") == 1) return;
    log::warning("{}:{}: network_multiplier has no effect on LoRA training", file, table.line_of("network_multiplier"));
  });
}

void read_bucket_options(const TomlReader& table, const Lookup& lookup, int required_step_px, DatasetConfig& dataset) {
  lookup.read("enable_bucket", dataset.enable_bucket);
  lookup.read("min_bucket_reso", dataset.min_bucket_reso, 1);
  lookup.read("max_bucket_reso", dataset.max_bucket_reso, 1);
  lookup.read("bucket_reso_steps", dataset.bucket_reso_steps, 1);
  lookup.read("bucket_no_upscale", dataset.bucket_no_upscale);
  if (!dataset.enable_bucket) return;
  try {
    check_bucket_options(dataset, required_step_px);
  } catch (const UserError& error) {
    table.refuse("enable_bucket", error.what());
  }
}

DatasetConfig read_dataset(TomlReader& table, TomlReader* general, const std::string& file,
                           const DatasetDefaults& defaults) {
  refuse_misplaced_subset_keys(table);
  const Lookup lookup({&table, general});
  DatasetConfig dataset = defaults.dataset;
  lookup.read("resolution", dataset.resolution);
  if (dataset.resolution == SizePx{}) {
    table.refuse("resolution", "missing: give it here, in [general] or as --resolution");
  }
  lookup.read("batch_size", dataset.batch_size, 1);
  lookup.read_interpolation(dataset.resize_interpolation);
  read_bucket_options(table, lookup, defaults.required_bucket_step, dataset);
  note_options_without_effect(lookup, file);

  auto subsets = table.tables("subsets");
  if (subsets.empty()) table.refuse("subsets", "missing: describe at least one image folder in [[datasets.subsets]]");
  for (auto& subset : subsets) {
    dataset.subsets.push_back(read_subset(subset, Lookup({&subset, &table, general}), defaults));
  }
  table.finish();
  return dataset;
}

TomlTable parse_dataset_file(const std::filesystem::path& path) {
  if (!fs::is_regular_file(path)) fail("{}: no such dataset file: check --dataset_config", path.string());
  const std::string text = read_file(path);
  if (const size_t at = find_invalid_utf8(text); at != std::string::npos) {
    const auto line = std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n') + 1;
    fail("{}:{}: the file is not UTF-8 (byte {}): save it as UTF-8", path.string(), line, at);
  }
  const std::string extension = python_lower(path.extension().string());
  return extension == ".json" ? parse_json_config(text, path.string()) : parse_toml_text(text, path.string());
}

}  // namespace

std::vector<DatasetConfig> read_dataset_config(const std::filesystem::path& path, const DatasetDefaults& defaults) {
  const std::string file = path.string();
  const TomlTable tree = parse_dataset_file(path);
  TomlReader root(tree, file);
  std::optional<TomlReader> general = root.table("general");
  if (general) refuse_misplaced_subset_keys(*general);
  auto datasets = root.tables("datasets");
  root.finish();
  if (datasets.empty()) fail("{}: no [[datasets]]: the file describes no data", file);
  std::vector<DatasetConfig> configs;
  for (auto& dataset : datasets) {
    configs.push_back(read_dataset(dataset, general ? &*general : nullptr, file, defaults));
  }
  if (general) general->finish();
  return configs;
}

}  // namespace difftune
