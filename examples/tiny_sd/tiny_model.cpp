#include "tiny_sd/tiny_model.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include <cstring>

#include "base/error.h"
#include "families/checkpoint_reader.h"
#include "families/sd/sd_name_map.h"
#include "text/clip_tokenizer.h"
#include "text/prompt_tokens.h"
#include "tiny_sd/average_autoencoder.h"
#include "tiny_sd/copying_denoiser.h"
#include "tiny_sd/draw_pictures.h"
#include "tiny_sd/reading_words.h"
#include "weights/open_weights.h"
#include "weights/safetensors.h"

namespace difftune::tiny {
namespace {

SdConfig tiny_config() {
  SdConfig config;
  config.unet.block_channels = {96, 96, 64};
  config.unet.transformer_depth = {0, 1, 0};
  config.unet.num_heads = {8, 8, 8};
  config.unet.num_resnets_per_block = 1;
  config.unet.context_size = 32;
  config.vae.block_channels = {96, 64, 64, 96};
  config.vae.num_resnets_per_block = 1;
  config.text.hidden_size = 32;
  config.text.intermediate_size = 128;
  config.text.num_layers = 2;
  config.text.num_heads = 1;
  return config;
}

NameMap unet_map(const UNetConfig& config) {
  UNetLayout layout;
  layout.level_has_attention.clear();
  for (const int64_t depth : config.transformer_depth) layout.level_has_attention.push_back(depth > 0);
  layout.layers_per_block = static_cast<int>(config.num_resnets_per_block);
  return sd_unet_name_map(layout);
}

NameMap vae_map(const AutoencoderConfig& config) {
  return sd_vae_name_map(static_cast<int>(config.block_channels.size()));
}

void append_as_checkpoint(const nn::ModelIndex& index, const NameMap& map, std::vector<NamedTensor>& out) {
  std::vector<NamedTensor> named;
  for (const auto& parameter : index.parameters) named.emplace_back(parameter.path, parameter.tensor->detach());
  const auto source = map.to_checkpoint(std::make_shared<MemorySource>(std::move(named)));
  for (const auto& key : source->keys()) out.emplace_back(key, source->tensor(key).to(at::kHalf).contiguous());
}

// A reader leaves the half precision of the file where the model is frozen; these are to be trained.
void widen(const nn::ModelIndex& index) {
  for (const auto& parameter : index.parameters) *parameter.tensor = parameter.tensor->to(at::kFloat);
}

}  // namespace

TinyModel new_tiny_model(uint64_t seed) {
  const auto reader = nn::make_initializer(at::make_generator<at::CPUGeneratorImpl>(seed), at::kFloat);
  TinyModel model{tiny_config(), {}, {}, {}};
  model.text = std::make_unique<ClipText>(model.config.text, *reader);
  model.vae = std::make_unique<AutoencoderKL>(model.config.vae, *reader);
  model.unet = std::make_unique<UNet>(model.config.unet, *reader);
  start_from_averages(*model.vae);
  start_as_copy(*model.unet);
  start_from_words(*model.text, telling_words());
  return model;
}

TinyModel load_tiny_model(const fs::path& path) {
  const auto checkpoint = open_weights(path);
  TinyModel model{read_sd_config(*checkpoint, false), {}, {}, {}};
  const auto reader = [&](const NameMap& map) {
    return make_checkpoint_reader(map.to_model(checkpoint), at::kFloat, at::kCPU);
  };
  model.text = std::make_unique<ClipText>(model.config.text, *reader(clip_l_name_map()));
  model.vae = std::make_unique<AutoencoderKL>(model.config.vae, *reader(vae_map(model.config.vae)));
  model.unet = std::make_unique<UNet>(model.config.unet, *reader(unet_map(model.config.unet)));
  for (const auto& index : {model.text->index(), model.vae->index(), model.unet->index()}) widen(index);
  return model;
}

void save_tiny_model(const TinyModel& model, const fs::path& path) {
  std::vector<NamedTensor> tensors;
  append_as_checkpoint(model.unet->index(), unet_map(model.config.unet), tensors);
  append_as_checkpoint(model.vae->index(), vae_map(model.config.vae), tensors);
  append_as_checkpoint(model.text->index(), clip_l_name_map(), tensors);
  const std::string bad = first_non_finite(tensors);
  DT_CHECK(bad.empty(), "{} is not finite in float16", bad);
  write_safetensors(path, tensors, Metadata{{"format", "pt"}});
}

at::Tensor to_tensor(const std::vector<Image>& pictures) {
  const Image& first = pictures.front();
  at::Tensor bytes = at::empty({static_cast<int64_t>(pictures.size()), first.height_px, first.width_px, 3}, at::kByte);
  for (size_t i = 0; i < pictures.size(); ++i) {
    std::memcpy(bytes.data_ptr<uint8_t>() + i * first.pixels.size(), pictures[i].pixels.data(), first.pixels.size());
  }
  return bytes.permute({0, 3, 1, 2}).to(at::kFloat) / 127.5 - 1;
}

std::vector<Image> to_pictures(const at::Tensor& tensor) {
  const at::Tensor scaled = (tensor.detach().to(at::kFloat) * 127.5 + 127.5).round().clamp(0, 255);
  const at::Tensor bytes = scaled.to(at::kByte).permute({0, 2, 3, 1}).contiguous();
  std::vector<Image> pictures;
  for (int64_t i = 0; i < bytes.size(0); ++i) {
    pictures.emplace_back(static_cast<int>(bytes.size(2)), static_cast<int>(bytes.size(1)), 3);
    auto& pixels = pictures.back().pixels;
    std::memcpy(pixels.data(), bytes[i].data_ptr<uint8_t>(), pixels.size());
  }
  return pictures;
}

at::Tensor encode_captions(const ClipText& text, const std::vector<std::string>& captions) {
  const auto& tokenizer = ClipTokenizer::builtin();
  std::vector<at::Tensor> rows;
  for (const auto& caption : captions) {
    const auto tokens = tokenize_prompt(tokenizer, caption, 75, tokenizer.eos_id());
    rows.push_back(at::tensor(tokens.ids).to(at::kLong));
  }
  return text.final_layer_norm(text.forward(at::stack(rows)).hidden_states.back());
}

std::vector<at::Tensor> trainable_parameters(const nn::ModelIndex& index) {
  std::vector<at::Tensor> parameters;
  for (const auto& parameter : index.parameters) parameters.push_back(*parameter.tensor);
  return parameters;
}

}  // namespace difftune::tiny
