#include "options/groups/mask.h"

#include "options/option_table.h"

namespace difftune {

void describe(MaskOptions& options, OptionTable& table) {
  table.group("Masks");
  table.add("alpha_mask", &options.alpha_mask, "Weigh the loss by the transparency of the image.");
  table.add("masked_loss", &options.masked_loss, "Weigh the loss by the mask images of --conditioning_data_dir.");
  table.add("conditioning_data_dir", &options.conditioning_data_dir, "Folder of mask images, named as the images.",
            {.metavar = "DIR"});
}

}  // namespace difftune
