#include "options/groups/dataset.h"

#include "options/option_table.h"

namespace difftune {

void describe(DatasetOptions& options, OptionTable& table) {
  table.group("Dataset");
  table.add("train_data_dir", &options.train_data_dir,
            "Folder that holds the image folders, each named REPEATS_WORDS, e.g. 10_cat.", {.metavar = "DIR"});
  table.add("reg_data_dir", &options.reg_data_dir, "Folder of regularisation image folders, named alike.",
            {.metavar = "DIR"});
  table.add("dataset_config", &options.dataset_config,
            "A .toml file that describes datasets and subsets; replaces the folder options.", {.metavar = "FILE"});
  table.add("in_json", &options.in_json, "Captions of the images in one metadata .json file.", {.metavar = "FILE"});
  table.add("dataset_class", &options.dataset_class, "A Python class that supplies the dataset.");
  table.add("resolution", &options.resolution, "Training resolution: one number for a square, or WIDTH,HEIGHT.",
            {.metavar = "SIZE|W,H", .unit = "px", .comma_list = true});
  table.add("train_batch_size", &options.train_batch_size, "Images in one step, before accumulation.",
            {.unit = "images", .minimum = 1});
  table.add("dataset_repeats", &options.dataset_repeats, "Repeats of each image when captions come from --in_json.",
            {.minimum = 1});
  table.add("prior_loss_weight", &options.prior_loss_weight, "Factor on the loss of regularisation images.",
            {.minimum = 0});
  table.add("cache_info", &options.cache_info,
            "Keep captions and image sizes in a file, so that the next start is faster.");
  table.add("debug_dataset", &options.debug_dataset,
            "Show the images and captions of the dataset instead of training.");
  table.add("max_data_loader_n_workers", &options.max_data_loader_n_workers,
            "Threads that read and prepare images ahead of the training; 0 prepares each batch when it is due.",
            {.minimum = 0});
  table.add("persistent_data_loader_workers", &options.persistent_data_loader_workers,
            "Keep those workers from one epoch to the next.");
}

}  // namespace difftune
