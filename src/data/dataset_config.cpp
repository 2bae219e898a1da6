#include "data/dataset_config.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "base/log.h"
#include "data/buckets.h"
#include "data/image_folder.h"
#include "data/python_text.h"

namespace difftune {
namespace {

namespace fs = std::filesystem;

std::optional<int> parse_int(std::string_view text) {
  text = python_strip(text);
  if (text.starts_with('+')) text.remove_prefix(1);
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

struct FolderName {
  int num_repeats = 0;
  std::string class_tokens;
};

// "10_ohwx cat": ten repeats of the class tokens "ohwx cat". nullopt where the name does not begin with a number.
std::optional<FolderName> parse_folder_name(const std::string& name) {
  const size_t underscore = std::min(name.find('_'), name.size());
  const auto repeats = parse_int(std::string_view(name).substr(0, underscore));
  if (!repeats) return std::nullopt;
  return FolderName{*repeats, underscore < name.size() ? name.substr(underscore + 1) : ""};
}

SubsetConfig subset_of_folder(const std::string& folder, const FolderName& name, bool is_reg,
                              const DatasetDefaults& defaults) {
  SubsetConfig subset = defaults.subset;
  subset.resize_interpolation = defaults.dataset.resize_interpolation;
  subset.image_dir = folder;
  subset.num_repeats = name.num_repeats;
  subset.class_tokens = name.class_tokens;
  subset.is_reg = is_reg;
  return subset;
}

// The folder itself as the one subset, where it holds images and no REPEATS_NAME subfolder.
std::optional<SubsetConfig> leaf_subset(const std::string& folder, std::string_view option, bool is_reg,
                                        const DatasetDefaults& defaults) {
  Problems ignored;
  if (list_images(folder, ignored).empty()) return std::nullopt;
  const auto name = parse_folder_name(fs::path(folder).filename().string());
  const int repeats = name && name->num_repeats > 0 ? name->num_repeats : defaults.subset.num_repeats;
  log::info("{} {}: the folder holds images itself, so it is used as one image folder, repeated {} times", option,
            folder, repeats);
  SubsetConfig subset = subset_of_folder(folder, {repeats, name ? name->class_tokens : ""}, is_reg, defaults);
  if (!name) subset.class_tokens.reset();
  return subset;
}

std::vector<SubsetConfig> subsets_below(std::string folder, std::string_view option, bool is_reg,
                                        const DatasetDefaults& defaults) {
  folder = without_trailing_slash(std::move(folder));
  const std::string found = describe_folder(folder);
  // The reference takes subfolders in the order of the directory, which depends on the file system; sorted, a run is
  // the same on every machine.
  std::vector<fs::path> subfolders;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.is_directory()) subfolders.push_back(entry.path());
  }
  std::sort(subfolders.begin(), subfolders.end());

  std::vector<SubsetConfig> subsets;
  for (const auto& subfolder : subfolders) {
    const auto name = parse_folder_name(subfolder.filename().string());
    if (!name || name->num_repeats < 1) {
      log::warning("{} {}: subfolder {} is ignored: its name does not begin with a number of repeats, as 10_name does",
                   option, folder, subfolder.filename().string());
      continue;
    }
    subsets.push_back(subset_of_folder(subfolder.string(), *name, is_reg, defaults));
  }
  if (!subsets.empty()) return subsets;
  if (auto leaf = leaf_subset(folder, option, is_reg, defaults)) return {std::move(*leaf)};
  fail("{} {}: no images: expected subfolders named REPEATS_NAME (such as 10_cat) with images in them, found {}",
       option, folder, found);
}

}  // namespace

std::string without_trailing_slash(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

SizePx parse_resolution(std::string_view text, std::string_view option) {
  const auto parts = split(text, ",");
  const auto width = parse_int(parts[0]);
  const auto height = parse_int(parts.back());
  if (parts.size() > 2 || !width || !height || std::min(*width, *height) < 8 || std::max(*width, *height) > 65536) {
    fail("{} is {}: expected a size or width,height in pixels, such as 512 or 768,512", option, text);
  }
  return {*width, *height};
}

std::vector<DatasetConfig> dataset_config_from_folders(const std::string& train_data_dir,
                                                       const std::string& reg_data_dir,
                                                       const DatasetDefaults& defaults) {
  DatasetConfig dataset = defaults.dataset;
  if (dataset.resolution == SizePx{}) {
    fail("--resolution is missing: give the training resolution, such as --resolution 512");
  }
  if (train_data_dir.empty()) fail("--train_data_dir is missing: name the folder with the training images");
  dataset.subsets = subsets_below(train_data_dir, "--train_data_dir", false, defaults);
  if (!reg_data_dir.empty()) {
    for (auto& subset : subsets_below(reg_data_dir, "--reg_data_dir", true, defaults)) {
      dataset.subsets.push_back(std::move(subset));
    }
  }
  if (dataset.enable_bucket) check_bucket_options(dataset, defaults.required_bucket_step);
  return {std::move(dataset)};
}

}  // namespace difftune
