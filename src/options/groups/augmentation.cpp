#include "options/groups/augmentation.h"

#include "options/option_table.h"

namespace difftune {

void describe(AugmentationOptions& options, OptionTable& table) {
  table.group("Augmentation");
  table.add("flip_aug", &options.flip_aug, "Mirror images left to right at random.");
  table.add("random_crop", &options.random_crop,
            "Cut the image at a random place instead of the centre; rules out cached latents.");
  table.add("color_aug", &options.color_aug, "Vary hue or brightness a little; rules out cached latents.");
  table.add("face_crop_aug_range", &options.face_crop_aug_range,
            "Crop around the face, enlarged by a factor between LOW and HIGH.",
            {.metavar = "LOW,HIGH", .comma_list = true});
}

}  // namespace difftune
