#include "data/dataset_builder.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iterator>
#include <set>
#include <span>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "base/parallel.h"
#include "data/caption_file.h"
#include "data/image_folder.h"
#include "data/problems.h"
#include "data/python_text.h"

namespace difftune {
namespace {

namespace fs = std::filesystem;

struct FolderContent {
  std::vector<std::string> images;
  std::vector<std::optional<std::string>> captions;
};

FolderContent read_folder(const SubsetConfig& subset, Problems& problems) {
  FolderContent content{.images = list_images(subset.image_dir, problems), .captions = {}};
  if (content.images.empty()) {
    problems.add(
        fmt::format("{}: no images in this folder, found {}", subset.image_dir, describe_folder(subset.image_dir)));
    return content;
  }
  content.captions.resize(content.images.size());
  parallel_for(content.images.size(), [&](size_t i) {
    try {
      content.captions[i] = read_caption(content.images[i], subset.caption_extension, subset.enable_wildcard);
    } catch (const UserError& error) {
      problems.add(error.what());
    }
  });
  return content;
}

// Captions that are not read because of their extension are the commonest cause of a LoRA that learns nothing.
void warn_of_missing_captions(const SubsetConfig& subset, const FolderContent& content) {
  std::vector<std::string> missing;
  for (size_t i = 0; i < content.images.size(); ++i) {
    if (!content.captions[i]) missing.push_back(content.images[i]);
  }
  if (missing.empty()) return;
  const std::string used =
      subset.class_tokens ? "the class tokens \"" + *subset.class_tokens + "\"" : "an empty caption";
  log::warning("{}: {} of {} images have no {} file (such as {}); they use {}", subset.image_dir, missing.size(),
               content.images.size(), subset.caption_extension, missing[0], used);
  for (const std::string extension : {".txt", ".caption"}) {
    if (extension == subset.caption_extension) continue;
    const auto beside = std::count_if(missing.begin(), missing.end(), [&](const std::string& image) {
      return fs::exists(fs::path(image).replace_extension(extension));
    });
    if (beside == 0) continue;
    log::warning("{}: {} of them have a {} file, which is NOT read: set caption_extension to {} to use it",
                 subset.image_dir, beside, extension, extension);
  }
}

void count_tags(TagFrequency& frequency, const std::string& folder, const std::vector<ImageRecord>& images) {
  auto entry = std::find_if(frequency.begin(), frequency.end(), [&](const auto& e) { return e.first == folder; });
  if (entry == frequency.end()) entry = frequency.insert(frequency.end(), {folder, {}});
  TagCounts& counts = entry->second;
  std::unordered_map<std::string, size_t> index;
  for (size_t i = 0; i < counts.size(); ++i) index[counts[i].first] = i;
  for (const auto& image : images) {
    for (const auto& part : split(image.caption, ",")) {
      const auto stripped = python_strip(part);
      if (stripped.empty()) continue;
      const std::string tag = python_lower(stripped);
      const auto [at, is_new] = index.emplace(tag, counts.size());
      if (is_new) counts.emplace_back(tag, 0);
      ++counts[at->second].second;
    }
  }
}

// Regularisation images are repeated until there are as many as training images; what is over is left out. The first
// round adds each image's repeats, later rounds one each, and the count is looked at after every image.
void add_reg_images(Dataset& dataset, std::vector<ImageRecord> reg_images) {
  if (reg_images.empty()) return;
  const size_t first = dataset.images.size();
  int64_t count = 0;
  for (auto& image : reg_images) {
    if (count >= dataset.num_train_images) break;
    count += image.num_repeats;
    dataset.images.push_back(std::move(image));
  }
  for (size_t i = first; count < dataset.num_train_images; ++count) {
    ++dataset.images[i].num_repeats;
    if (++i == dataset.images.size()) i = first;
  }
  const size_t used = dataset.images.size() - first;
  if (used < reg_images.size()) {
    log::warning(
        "{} of {} regularisation images are not used: with repeats there are more of them than training images",
        reg_images.size() - used, reg_images.size());
  }
}

class Builder {
 public:
  Builder(const DatasetBuildOptions& options, Problems& problems) : options_(options), problems_(problems) {}

  Dataset collect(DatasetConfig config) {
    Dataset dataset;
    dataset.config = std::move(config);
    std::vector<ImageRecord> reg_images;
    std::set<std::string> folders;
    for (auto& subset : std::exchange(dataset.config.subsets, {})) {
      if (subset.num_repeats < 1) {
        log::warning("{}: the folder is ignored, its num_repeats is {}", subset.image_dir, subset.num_repeats);
      } else if (!folders.insert(subset.image_dir).second) {
        log::warning("{}: the folder occurs twice in one dataset; the second is ignored", subset.image_dir);
      } else {
        add_subset(dataset, std::move(subset), reg_images);
      }
    }
    add_reg_images(dataset, std::move(reg_images));
    if (dataset.num_train_images == 0) problems_.add("a dataset has no training images");
    return dataset;
  }

  // Sizes of all images, from their headers.
  void inspect(Dataset& dataset) {
    const auto read = options_.reference_quirks ? ReadOptions::reference() : ReadOptions{};
    const size_t num_images = dataset.images.size();
    std::vector<uint8_t> has_alpha(num_images), animated(num_images), misnamed(num_images);
    parallel_for(num_images, [&](size_t i) {
      auto& image = dataset.images[i];
      try {
        const ImageInfo info = inspect_image(image.path, read);
        image.size = {info.width_px, info.height_px};
        has_alpha[i] = info.has_alpha && !dataset.subset_of(image).alpha_mask;
        animated[i] = info.is_animated;
        misnamed[i] = format_of_name(image.path) != info.format;
      } catch (const UserError& error) {
        problems_.add(error.what());
      }
    });
    warn_of(dataset, has_alpha, "transparency, which is dropped (what lies under it is trained on)");
    warn_of(dataset, animated, "several frames; the first is used");
    warn_of(dataset, misnamed, "content of another format than the extension says; it is read as what it is");
  }

  void assign_buckets(Dataset& dataset) {
    const DatasetConfig& config = dataset.config;
    dataset.letterboxed = config.enable_bucket || options_.cache_latents;
    std::vector<SizePx> predefined{config.resolution};
    if (config.enable_bucket && !config.bucket_no_upscale) {
      predefined = predefined_buckets(config.resolution, config.min_bucket_reso, config.max_bucket_reso,
                                      config.bucket_reso_steps);
    }
    std::vector<double> errors;
    std::set<SizePx> used;
    for (auto& image : dataset.images) {
      const auto choice = choose(dataset, image, predefined);
      if (!choice) continue;
      image.bucket = choice->bucket;
      image.resized = choice->resized;
      errors.push_back(std::abs(choice->aspect_error));
      used.insert(choice->bucket);
    }
    dataset.bucket_resolutions.assign(used.begin(), used.end());
    dataset.mean_aspect_error = numpy_mean(errors);
  }

 private:
  void add_subset(Dataset& dataset, SubsetConfig subset, std::vector<ImageRecord>& reg_images) {
    if (subset.caption_separator.empty()) {
      fail("{}: caption_separator is empty: expected at least one character", subset.image_dir);
    }
    if (!subset.caption_extension.empty() && subset.caption_extension[0] != '.') {
      subset.caption_extension = "." + subset.caption_extension;
    }
    if (options_.cache_latents && subset.random_crop) {
      fail("{}: random_crop cannot be used with cached latents: remove random_crop or cache_latents", subset.image_dir);
    }
    const FolderContent content = read_folder(subset, problems_);
    if (content.images.empty()) return;
    warn_of_missing_captions(subset, content);

    std::vector<ImageRecord> images(content.images.size());
    for (size_t i = 0; i < images.size(); ++i) {
      images[i].path = content.images[i];
      images[i].subset = static_cast<int>(dataset.subsets.size());
      images[i].num_repeats = subset.num_repeats;
      images[i].caption = content.captions[i].value_or(subset.class_tokens.value_or(""));
    }
    count_tags(dataset.tag_frequency, fs::path(subset.image_dir).filename().string(), images);
    const auto count = static_cast<int64_t>(images.size()) * subset.num_repeats;
    (subset.is_reg ? dataset.num_reg_images : dataset.num_train_images) += count;
    auto& target = subset.is_reg ? reg_images : dataset.images;
    std::move(images.begin(), images.end(), std::back_inserter(target));
    dataset.subsets.push_back({std::move(subset), static_cast<int>(content.images.size())});
  }

  static void warn_of(const Dataset& dataset, const std::vector<uint8_t>& flags, std::string_view what) {
    const auto first = std::find(flags.begin(), flags.end(), 1);
    if (first == flags.end()) return;
    const auto& path = dataset.images[static_cast<size_t>(first - flags.begin())].path;
    const auto count = std::count(flags.begin(), flags.end(), 1);
    if (count == 1) {
      log::warning("{} has {}", path, what);
    } else {
      log::warning("{} images (such as {}) have {}", count, path, what);
    }
  }

  std::optional<BucketChoice> choose(const Dataset& dataset, const ImageRecord& image,
                                     std::span<const SizePx> predefined) {
    const DatasetConfig& config = dataset.config;
    try {
      if (config.enable_bucket && config.bucket_no_upscale) {
        return choose_bucket_without_upscale(image.size, config.resolution, config.bucket_reso_steps);
      }
      BucketChoice choice = choose_predefined_bucket(image.size, predefined);
      if (choice.resized.area() > kMaxImagePixels) {
        fail("it is {}, too long and narrow: to cover {} it would be enlarged to {}", to_string(image.size),
             to_string(choice.bucket), to_string(choice.resized));
      }
      if (!dataset.letterboxed) {
        choice.resized = image.size;
        check_unbucketed(dataset, image);
      }
      return choice;
    } catch (const UserError& error) {
      problems_.add(fmt::format("{}: {}", image.path, error.what()));
      return std::nullopt;
    }
  }

  // Without buckets and cache an image is used as it is, or a random window of it.
  static void check_unbucketed(const Dataset& dataset, const ImageRecord& image) {
    const SizePx resolution = dataset.config.resolution;
    if (image.size == resolution) return;
    if (image.size.width < resolution.width || image.size.height < resolution.height) {
      fail("it is {}, smaller than the resolution {}: use enable_bucket, or cache_latents, to resize images",
           to_string(image.size), to_string(resolution));
    }
    if (!dataset.subset_of(image).random_crop) {
      fail("it is {}, not the resolution {}: use enable_bucket, cache_latents or random_crop", to_string(image.size),
           to_string(resolution));
    }
  }

  DatasetBuildOptions options_;
  Problems& problems_;
};

}  // namespace

std::vector<Dataset> build_datasets(std::vector<DatasetConfig> configs, const DatasetBuildOptions& options) {
  Problems problems;
  Builder builder(options, problems);
  std::vector<Dataset> datasets;
  for (auto& config : configs) datasets.push_back(builder.collect(std::move(config)));
  for (auto& dataset : datasets) builder.inspect(dataset);
  problems.fail_if_any();
  for (auto& dataset : datasets) builder.assign_buckets(dataset);
  problems.fail_if_any();
  return datasets;
}

}  // namespace difftune
