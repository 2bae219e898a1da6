#include "tiny_sd/copying_denoiser.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include "base/error.h"
#include "tiny_sd/weight_editor.h"

namespace difftune::tiny {

void start_as_copy(UNet& unet) {
  const UNetConfig& config = unet.config();
  const int64_t width = config.block_channels.front();
  DT_CHECK(width == kGroup * config.norm_groups && config.transformer_depth.front() == 0, "another U-Net");
  const at::NoGradGuard no_grad;
  const WeightEditor edit(unet.index());
  for (const auto& entry : unet.index().parameters) {
    const bool is_last = entry.path.find(".conv2.") != std::string::npos;
    if (is_last || entry.path.find(".proj_out.") != std::string::npos) entry.tensor->zero_();
  }
  edit.clear("conv_out");
  // The last resnet sees the output of conv_in behind the channels from below.
  const std::string last =
      fmt::format("up_blocks.{}.resnets.{}", config.block_channels.size() - 1, config.num_resnets_per_block);
  for (int64_t c = 0; c < config.in_channels; ++c) {
    edit.pass("conv_in", c, c);
    edit.pass_as_group(last + ".conv_shortcut", width + c, c);
    edit.read_group("conv_norm_out", "conv_out", c, c);
  }
}

}  // namespace difftune::tiny
