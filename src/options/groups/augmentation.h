// Random changes to the images.
#pragma once

#include <optional>
#include <string>

namespace difftune {

class OptionTable;

struct AugmentationOptions {
  bool color_aug = false;
  bool flip_aug = false;
  std::optional<std::string> face_crop_aug_range;
  bool random_crop = false;
};

void describe(AugmentationOptions& options, OptionTable& table);

}  // namespace difftune
