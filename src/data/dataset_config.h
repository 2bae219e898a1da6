// What to train on: datasets of subsets (image folders) with their options, as typed values.
//
// The values come from a dataset toml (or json) or from the folder convention (`10_name` below a data folder). An
// option is looked up in its subset, its dataset, `[general]`, then in the command line's values (DatasetDefaults).
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/size_px.h"

namespace difftune {

// Options of one image folder (DreamBooth form). Names and meaning are those of the dataset toml.
struct SubsetConfig {
  std::string image_dir;
  int num_repeats = 1;
  bool is_reg = false;
  std::optional<std::string> class_tokens;
  std::string caption_extension = ".caption";

  bool shuffle_caption = false;
  std::string caption_separator = ",";
  int keep_tokens = 0;
  std::string keep_tokens_separator;
  std::optional<std::string> secondary_separator;
  bool enable_wildcard = false;
  std::optional<std::string> caption_prefix;
  std::optional<std::string> caption_suffix;
  double caption_dropout_rate = 0;
  int caption_dropout_every_n_epochs = 0;
  double caption_tag_dropout_rate = 0;
  int token_warmup_min = 1;      // tags
  double token_warmup_step = 0;  // steps; below 1 a share of all steps

  bool flip_aug = false;
  bool random_crop = false;
  bool alpha_mask = false;
  std::optional<std::string> resize_interpolation;
};

struct DatasetConfig {
  SizePx resolution;
  int batch_size = 1;
  bool enable_bucket = false;
  int min_bucket_reso = 256;  // px
  int max_bucket_reso = 1024;
  int bucket_reso_steps = 64;
  bool bucket_no_upscale = false;
  std::optional<std::string> resize_interpolation;
  double prior_loss_weight = 1;  // loss weight of regularisation images
  std::vector<SubsetConfig> subsets;
};

// The command line's values: what a dataset file leaves open.
struct DatasetDefaults {
  // --train_batch_size is batch_size. Resolution {0, 0}: not given. Its subsets are not read.
  DatasetConfig dataset;
  // --dataset_repeats is num_repeats. image_dir, is_reg, class_tokens and resize_interpolation are not read.
  SubsetConfig subset;

  // What the program that reads the dataset can do.
  int required_bucket_step = 64;    // bucket_reso_steps must be a multiple of it: 64 for SD, 32 for SDXL
  bool applies_alpha_mask = false;  // false: alpha_mask is refused
};

// "512" or "768,512" (width, height), as --resolution is written. Throws UserError that names `option`.
SizePx parse_resolution(std::string_view text, std::string_view option = "--resolution");

// A folder's name without slashes at its end, so that its last part is never empty.
std::string without_trailing_slash(std::string path);

// Reads a dataset file (.toml or .json). Every error names the file, and the line where the format has lines: unknown
// key (with the nearest name, or where the key belongs), wrong type, value out of range, option that is not available.
std::vector<DatasetConfig> read_dataset_config(const std::filesystem::path& file, const DatasetDefaults& defaults);

// One dataset from the folder convention: subfolders `REPEATS_class tokens` of `train_data_dir` and of `reg_data_dir`
// (may be empty: none). A folder that holds images itself is accepted as the one subset, with a note. Throws UserError
// that says what was found where no image folder is found.
std::vector<DatasetConfig> dataset_config_from_folders(const std::string& train_data_dir,
                                                       const std::string& reg_data_dir,
                                                       const DatasetDefaults& defaults);

}  // namespace difftune
