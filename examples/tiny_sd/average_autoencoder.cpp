#include "tiny_sd/average_autoencoder.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <array>
#include <cmath>

#include "base/error.h"

namespace difftune::tiny {
namespace {

constexpr int64_t kColours = 3;
constexpr int64_t kSignals = 4;  // of the encoder: colours and the difference
constexpr int64_t kGroup = 3;    // channels of a group in layers of 96
constexpr double kOffset = 4;    // C; silu(C + s) is nearly C + s

class Editor {
 public:
  explicit Editor(const AutoencoderKL& vae) : index_(vae.index()) {}

  at::Tensor parameter(const std::string& path) const {
    for (const auto& entry : index_.parameters) {
      if (entry.path == path) return *entry.tensor;
    }
    throw InternalError(fmt::format("the autoencoder has no {}", path));
  }
  // Clears what an output channel takes in, and its bias.
  void clear_channel(const std::string& layer, int64_t out) const {
    parameter(layer + ".weight")[out].zero_();
    parameter(layer + ".bias")[out].zero_();
  }
  void clear(const std::string& layer) const {
    parameter(layer + ".weight").zero_();
    parameter(layer + ".bias").zero_();
  }
  // out = in at the same place.
  void pass(const std::string& layer, int64_t in, int64_t out, double factor = 1) const {
    const at::Tensor weight = parameter(layer + ".weight");
    const int64_t middle = weight.size(2) / 2;
    clear_channel(layer, out);
    weight[out][in][middle][middle] = factor;
  }
  // The three channels of group `signal` from channel `in`.
  void pass_as_group(const std::string& layer, int64_t in, int64_t signal) const {
    pass(layer, in, kGroup * signal, 1);
    pass(layer, in, kGroup * signal + 1, -1);
    clear_channel(layer, kGroup * signal + 2);
    const at::Tensor bias = parameter(layer + ".bias");
    bias[kGroup * signal] = kOffset;
    bias[kGroup * signal + 1] = kOffset;
    bias[kGroup * signal + 2] = -2 * kOffset;
  }
  // Makes the norm leave the first channel of a group as C + s, and the last convolution read s from it.
  void read_group(const std::string& norm, const std::string& layer, int64_t signal, int64_t out) const {
    parameter(norm + ".weight")[kGroup * signal] = kOffset * std::sqrt(2.0);
    pass(layer, kGroup * signal, out);
    parameter(layer + ".bias")[out] = -kOffset / (1 + std::exp(-kOffset));
  }

 private:
  const nn::ModelIndex& index_;
};

void set_encoder(const Editor& edit) {
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

void set_decoder(const Editor& edit) {
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
  const Editor edit(vae);
  for (const auto& entry : vae.index().parameters) {
    if (entry.path.ends_with("conv2.weight") || entry.path.ends_with("conv2.bias")) entry.tensor->zero_();
  }
  for (const char* part : {"encoder", "decoder"}) edit.clear(fmt::format("{}.mid_block.attentions.0.to_out.0", part));
  set_encoder(edit);
  set_decoder(edit);
}

}  // namespace difftune::tiny
