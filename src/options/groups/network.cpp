#include "options/groups/network.h"

#include "options/option_table.h"

namespace difftune {

void describe(NetworkOptions& options, OptionTable& table) {
  table.group("Network (the adapter that is trained)");
  table.add("network_module", &options.network_module, "Kind of adapter, e.g. networks.lora.",
            {.metavar = "NAME", .required = true});
  table.add("network_dim", &options.network_dim, "Rank of the adapter; its kind decides without it (LoRA: 4).",
            {.minimum = 1});
  table.add("network_alpha", &options.network_alpha, "The adapter's change is scaled by alpha / rank.", {.minimum = 0});
  table.add("network_dropout", &options.network_dropout,
            "Chance that a value inside the adapter is set to 0 in a step.", {.minimum = 0, .maximum = 1});
  table.add("network_args", &options.network_args,
            "More settings of the adapter, e.g. conv_dim=8 conv_alpha=4 loraplus_lr_ratio=16.",
            {.metavar = "KEY=VALUE ..."});
  table.add("unet_lr", &options.unet_lr, "Learning rate of the U-Net part; --learning_rate without it.",
            {.minimum = 0});
  table.add("text_encoder_lr", &options.text_encoder_lr,
            "Learning rate of the text encoder part, one or one per encoder; --learning_rate without it.",
            {.minimum = 0});
  table.add("network_train_unet_only", &options.network_train_unet_only, "Train only the U-Net part.");
  table.add("network_train_text_encoder_only", &options.network_train_text_encoder_only,
            "Train only the text encoder part.");
  table.add("network_weights", &options.network_weights, "An adapter file to start from.", {.metavar = "FILE"});
  table.add("dim_from_weights", &options.dim_from_weights, "Take ranks from the file of --network_weights.");
  table.add("scale_weight_norms", &options.scale_weight_norms,
            "Shrink a module whose change is larger than this norm; 1 is a good start, 0 is off.", {.minimum = 0});
  table.add("base_weights", &options.base_weights, "Adapter files merged into the model before training.",
            {.metavar = "FILE ..."});
  table.add("base_weights_multiplier", &options.base_weights_multiplier,
            "Factor for each file of --base_weights; 1 without it.");
}

}  // namespace difftune
