#include "tiny_sd/average_autoencoder.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/group_norm.h>
#include <ATen/ops/silu.h>
#include <fmt/format.h>

#include "base/error.h"
#include "tiny_sd/weight_editor.h"

namespace difftune::tiny {
namespace {

constexpr int64_t kColours = 3;
constexpr int64_t kSignals = 4;  // of the encoder: colours and the difference

void set_encoder(const WeightEditor& edit) {
  edit.clear("encoder.conv_in");
  for (int64_t c = 0; c < kColours; ++c) edit.pass("encoder.conv_in", c, c);
  for (int level = 0; level < 3; ++level) {
    const std::string layer = fmt::format("encoder.down_blocks.{}.downsamplers.0.conv", level);
    edit.clear(layer);
    const at::Tensor weight = edit.parameter(layer + ".weight");
    for (int64_t c = 0; c < kColours; ++c) weight[c][c].narrow(0, 0, 2).narrow(1, 0, 2).fill_(0.25);
    for (int64_t c = 0; level == 2 && c < kColours; ++c) {
      const at::Tensor kernel = weight[kColours][c];
      kernel[0][0] = 0.6;
      kernel[1][1] = -0.6;
      kernel[0][1] = 0.3;
      kernel[1][0] = -0.3;
    }
  }
  const std::string narrow = "encoder.down_blocks.1.resnets.0.conv_shortcut";
  edit.clear(narrow);
  for (int64_t c = 0; c < kColours; ++c) edit.pass(narrow, c, c);
  const std::string widen = "encoder.down_blocks.3.resnets.0.conv_shortcut";
  edit.clear(widen);
  edit.clear("encoder.conv_out");
  edit.clear("quant_conv");
  for (int64_t s = 0; s < kSignals; ++s) {
    edit.pass_as_group(widen, s, s);
    edit.read_group("encoder.conv_norm_out", "encoder.conv_out", s, s);
    edit.pass("quant_conv", s, s);
  }
  edit.parameter("quant_conv.bias").narrow(0, kSignals, kSignals).fill_(-8);  // logarithm of the latents' variance
}

void set_decoder(const WeightEditor& edit) {
  edit.clear("post_quant_conv");
  for (int64_t s = 0; s < kSignals; ++s) edit.pass("post_quant_conv", s, s);
  for (int64_t c = 0; c < kColours; ++c) {
    edit.pass("decoder.conv_in", c, c);
    edit.pass("decoder.up_blocks.0.upsamplers.0.conv", c, c);
    edit.pass("decoder.up_blocks.1.resnets.0.conv_shortcut", c, c);
    edit.pass("decoder.up_blocks.1.upsamplers.0.conv", c, c);
    edit.pass("decoder.up_blocks.2.upsamplers.0.conv", c, c);
  }
  edit.parameter("decoder.conv_out.weight").mul_(0.1);
  for (int64_t c = 0; c < kColours; ++c) {
    edit.pass_as_group("decoder.up_blocks.3.resnets.0.conv_shortcut", c, c);
    edit.read_group("decoder.conv_norm_out", "decoder.conv_out", c, c);
  }
}

}  // namespace

void start_from_averages(AutoencoderKL& vae) {
  DT_CHECK((vae.config().block_channels == std::vector<int64_t>{96, 64, 64, 96}), "the widths that this is made for");
  const at::NoGradGuard no_grad;
  const WeightEditor edit(vae.index());
  for (const auto& entry : vae.index().parameters) {
    if (entry.path.ends_with("conv2.weight") || entry.path.ends_with("conv2.bias")) entry.tensor->zero_();
  }
  for (const char* part : {"encoder", "decoder"}) edit.clear(fmt::format("{}.mid_block.attentions.0.to_out.0", part));
  set_encoder(edit);
  set_decoder(edit);
}

at::Tensor average_latents(const AutoencoderKL& vae, const at::Tensor& pictures) {
  const at::NoGradGuard no_grad;
  const WeightEditor edit(vae.index());
  // The first channels of a layer, where those that they come from are the first `in`.
  const auto part = [&](const std::string& layer, const at::Tensor& x, int64_t out, int64_t stride, int64_t padding) {
    const at::Tensor weight = edit.parameter(layer + ".weight").narrow(0, 0, out).narrow(1, 0, x.size(1));
    return at::conv2d(x, weight, edit.parameter(layer + ".bias").narrow(0, 0, out), stride, padding);
  };
  at::Tensor x = part("encoder.conv_in", pictures, kColours, 1, 1);
  for (int level = 0; level < 3; ++level) {
    if (level == 1) x = part("encoder.down_blocks.1.resnets.0.conv_shortcut", x, kColours, 1, 0);
    x = part(fmt::format("encoder.down_blocks.{}.downsamplers.0.conv", level), at::constant_pad_nd(x, {0, 1, 0, 1}),
             level == 2 ? kSignals : kColours, 2, 0);
  }
  x = part("encoder.down_blocks.3.resnets.0.conv_shortcut", x, vae.config().block_channels.back(), 1, 0);
  x = at::group_norm(x, vae.config().norm_groups, edit.parameter("encoder.conv_norm_out.weight"),
                     edit.parameter("encoder.conv_norm_out.bias"), 1e-6);
  x = part("encoder.conv_out", at::silu(x), 2 * kSignals, 1, 1);
  return part("quant_conv", x, kSignals, 1, 0);
}

}  // namespace difftune::tiny
