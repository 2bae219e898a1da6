#include "data/dataset_metadata.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/python_format.h"

namespace difftune {
namespace {

// A JSON object in json.dumps's default form.
class JsonObject {
 public:
  JsonObject& add(std::string_view key, const std::string& json) {
    text_ += fmt::format("{}{}: {}", text_.empty() ? "" : ", ", json_quote(key), json);
    return *this;
  }
  JsonObject& add(std::string_view key, const char* json) { return add(key, std::string(json)); }
  JsonObject& add(std::string_view key, bool value) { return add(key, value ? "true" : "false"); }
  JsonObject& add(std::string_view key, int64_t value) { return add(key, std::to_string(value)); }
  JsonObject& add(std::string_view key, int value) { return add(key, int64_t{value}); }
  JsonObject& add_text(std::string_view key, const std::optional<std::string>& value) {
    return add(key, value ? json_quote(*value) : "null");
  }
  std::string str() const { return "{" + text_ + "}"; }

 private:
  std::string text_;
};

std::string json_list(const std::vector<std::string>& items) { return fmt::format("[{}]", fmt::join(items, ", ")); }

std::string json_size(SizePx size) { return fmt::format("[{}, {}]", size.width, size.height); }

std::string base_name(const SubsetConfig& subset) {
  return std::filesystem::path(subset.image_dir).filename().string();
}

std::string tag_counts(const TagCounts& counts) {
  JsonObject object;
  for (const auto& [tag, count] : counts) object.add(tag, count);
  return object.str();
}

std::string tag_frequency(const TagFrequency& frequency) {
  JsonObject object;
  for (const auto& [folder, counts] : frequency) object.add(folder, tag_counts(counts));
  return object.str();
}

std::string bucket_info(const Dataset& dataset) {
  if (!dataset.config.enable_bucket) return "null";
  JsonObject buckets;
  const BucketOrder order = dataset.unshuffled_order();
  for (size_t i = 0; i < order.buckets.size(); ++i) {
    JsonObject bucket;
    bucket.add("resolution", json_size(dataset.bucket_resolutions[i]));
    bucket.add("count", static_cast<int64_t>(order.buckets[i].size()));
    buckets.add(std::to_string(i), bucket.str());
  }
  const double error = dataset.mean_aspect_error;
  return JsonObject()
      .add("buckets", buckets.str())
      .add("mean_img_ar_error", dataset.images.empty() ? "0" : python_repr(error))
      .str();
}

std::string folder_info(const Subset& subset) {
  return JsonObject().add("n_repeats", subset.config.num_repeats).add("img_count", subset.img_count).str();
}

std::string subset_json(const Subset& subset) {
  const SubsetConfig& config = subset.config;
  return JsonObject()
      .add("img_count", subset.img_count)
      .add("num_repeats", config.num_repeats)
      .add("color_aug", false)
      .add("flip_aug", config.flip_aug)
      .add("random_crop", config.random_crop)
      .add("shuffle_caption", config.shuffle_caption)
      .add("keep_tokens", config.keep_tokens)
      .add_text("keep_tokens_separator", config.keep_tokens_separator)
      .add_text("secondary_separator", config.secondary_separator)
      .add("enable_wildcard", config.enable_wildcard)
      .add_text("caption_prefix", config.caption_prefix)
      .add_text("caption_suffix", config.caption_suffix)
      .add_text("resize_interpolation", config.resize_interpolation)
      .add_text("image_dir", base_name(config))
      .add_text("class_tokens", config.class_tokens)
      .add("is_reg", config.is_reg)
      .str();
}

std::string dataset_json(const Dataset& dataset) {
  const DatasetConfig& config = dataset.config;
  std::vector<std::string> subsets;
  for (const auto& subset : dataset.subsets) subsets.push_back(subset_json(subset));
  JsonObject object;
  object.add("is_dreambooth", true)
      .add("batch_size_per_device", config.batch_size)
      .add("num_train_images", dataset.num_train_images)
      .add("num_reg_images", dataset.num_reg_images)
      .add("resolution", json_size(config.resolution))
      .add("enable_bucket", config.enable_bucket)
      .add("min_bucket_reso", config.enable_bucket ? std::to_string(config.min_bucket_reso) : "null")
      .add("max_bucket_reso", config.enable_bucket ? std::to_string(config.max_bucket_reso) : "null")
      .add("tag_frequency", tag_frequency(dataset.tag_frequency))
      .add("bucket_info", bucket_info(dataset))
      .add_text("resize_interpolation", config.resize_interpolation)
      .add("subsets", json_list(subsets));
  return object.str();
}

void add_dataset_file_metadata(const DatasetGroup& group, std::map<std::string, std::string>& metadata) {
  std::vector<std::string> datasets;
  JsonObject frequencies, folders;
  std::set<std::string> frequency_names, folder_names;
  for (const auto& dataset : group.datasets()) {
    datasets.push_back(dataset_json(dataset));
    for (const auto& subset : dataset.subsets) {
      if (subset.config.is_reg) continue;
      const std::string name = base_name(subset.config);
      std::string unique = name;
      for (int i = 2; !folder_names.insert(unique).second; ++i) unique = fmt::format("{} ({})", name, i);
      folders.add(unique, folder_info(subset));
    }
    // A folder of several datasets counts once.
    for (const auto& [folder, counts] : dataset.tag_frequency) {
      if (frequency_names.insert(folder).second) frequencies.add(folder, tag_counts(counts));
    }
  }
  metadata["ss_datasets"] = json_list(datasets);
  metadata["ss_tag_frequency"] = frequencies.str();
  metadata["ss_dataset_dirs"] = folders.str();
}

std::string folders_json(const Dataset& dataset, bool is_reg) {
  std::vector<std::pair<std::string, std::string>> folders;  // as a Python dict: a later value of a key replaces
  for (const auto& subset : dataset.subsets) {
    if (subset.config.is_reg != is_reg) continue;
    const std::string name = base_name(subset.config);
    const auto same =
        std::find_if(folders.begin(), folders.end(), [&](const auto& entry) { return entry.first == name; });
    if (same == folders.end()) {
      folders.emplace_back(name, folder_info(subset));
    } else {
      same->second = folder_info(subset);
    }
  }
  JsonObject object;
  for (const auto& [name, info] : folders) object.add(name, info);
  return object.str();
}

void add_folder_metadata(const Dataset& dataset, std::map<std::string, std::string>& metadata) {
  const DatasetConfig& config = dataset.config;
  metadata["ss_dataset_dirs"] = folders_json(dataset, false);
  metadata["ss_reg_dataset_dirs"] = folders_json(dataset, true);
  metadata["ss_tag_frequency"] = tag_frequency(dataset.tag_frequency);
  metadata["ss_bucket_info"] = bucket_info(dataset);
  metadata["ss_enable_bucket"] = python_str(config.enable_bucket);
  metadata["ss_bucket_no_upscale"] = python_str(config.enable_bucket && config.bucket_no_upscale);
  metadata["ss_min_bucket_reso"] = config.enable_bucket ? std::to_string(config.min_bucket_reso) : "None";
  metadata["ss_max_bucket_reso"] = config.enable_bucket ? std::to_string(config.max_bucket_reso) : "None";
}

}  // namespace

std::map<std::string, std::string> dataset_metadata(const DatasetGroup& group, bool from_dataset_file) {
  std::map<std::string, std::string> metadata;
  metadata["ss_num_train_images"] = std::to_string(group.num_train_images());
  metadata["ss_num_reg_images"] = std::to_string(group.num_reg_images());
  if (from_dataset_file) {
    add_dataset_file_metadata(group, metadata);
  } else {
    add_folder_metadata(group.datasets().at(0), metadata);
  }
  return metadata;
}

}  // namespace difftune
