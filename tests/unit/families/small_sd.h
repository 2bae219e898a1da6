// A Stable Diffusion of a few hundred thousand parameters, in the layouts in which real ones are published.
#pragma once

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/files.h"
#include "families/sd/sd_config.h"
#include "families/sd/sd_name_map.h"
#include "weights/safetensors.h"

namespace difftune {

// A folder of the running test's own, empty at its start and removed at its end.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    std::string name = fmt::format("difftune_{}_{}_{}", test->test_suite_name(), test->name(), getpid());
    std::replace(name.begin(), name.end(), '/', '_');
    path_ = fs::temp_directory_path() / name;
    fs::remove_all(path_);
    fs::create_directories(path_);
  }
  ~TemporaryFolder() { fs::remove_all(path_); }
  fs::path operator/(const std::string& name) const { return path_ / name; }

 private:
  fs::path path_;
};

inline SdConfig small_sd_config(bool is_v2) {
  SdConfig config;
  config.is_v2 = is_v2;
  config.unet = {.block_channels = {32, 64},
                 .transformer_depth = {1, 0},
                 .num_heads = is_v2 ? std::vector<int64_t>{1, 1} : std::vector<int64_t>{8, 8},
                 .num_resnets_per_block = 1,
                 .context_size = 64,
                 .uses_linear_projection = is_v2};
  config.vae = {.block_channels = {32, 32}, .num_resnets_per_block = 1};
  config.text = {.vocabulary_size = 49408,
                 .hidden_size = 64,
                 .intermediate_size = 96,
                 .num_layers = 2,
                 .num_heads = 1,
                 .uses_quick_gelu = !is_v2};
  return config;
}

// The three parts with random weights, under the model's names.
class SmallSd {
 public:
  explicit SmallSd(const SdConfig& config, uint64_t seed = 1)
      : config_(config),
        reader_(nn::make_initializer(at::make_generator<at::CPUGeneratorImpl>(seed), at::kFloat)),
        unet_(config.unet, *reader_),
        vae_(config.vae, *reader_),
        text_(config.text, *reader_) {}

  std::vector<NamedTensor> ldm() const {
    std::vector<NamedTensor> tensors;
    append(tensors, sd_unet_name_map({.level_has_attention = {true, false}, .layers_per_block = 1}), unet_.index());
    append(tensors, sd_vae_name_map(2), vae_.index());
    if (config_.is_v2) {
      append(tensors, open_clip_name_map(static_cast<int>(config_.text.num_layers)), text_.index());
      // The published files have one more layer, which SD 2.x does not use.
      const std::string above =
          fmt::format("cond_stage_model.model.transformer.resblocks.{}.", config_.text.num_layers);
      tensors.emplace_back(above + "mlp.c_fc.weight", at::zeros({96, 64}));
    } else {
      append(tensors, clip_l_name_map(), text_.index());
    }
    return tensors;
  }

  void write_ldm(const fs::path& path) const { write_safetensors(path, ldm()); }

  void write_diffusers(const fs::path& folder) const {
    const auto write = [&](const char* part, const char* file, const nn::ModelIndex& index) {
      fs::create_directories(folder / part);
      write_safetensors(folder / part / file, named(index));
    };
    write("unet", "diffusion_pytorch_model.safetensors", unet_.index());
    write("vae", "diffusion_pytorch_model.safetensors", vae_.index());
    write("text_encoder", "model.safetensors", text_.index());
    write_file_atomically(folder / "model_index.json", "{}");
  }

  static std::vector<NamedTensor> named(const nn::ModelIndex& index) {
    std::vector<NamedTensor> tensors;
    for (const auto& parameter : index.parameters) tensors.emplace_back(parameter.path, parameter.tensor->contiguous());
    return tensors;
  }

 private:
  static void append(std::vector<NamedTensor>& tensors, const NameMap& map, const nn::ModelIndex& index) {
    const auto source = map.to_checkpoint(std::make_shared<MemorySource>(named(index)));
    for (const auto& key : source->keys()) tensors.emplace_back(key, source->tensor(key));
  }

  SdConfig config_;
  std::unique_ptr<nn::ParameterReader> reader_;
  UNet unet_;
  AutoencoderKL vae_;
  ClipText text_;
};

// The text of the UserError that `act` throws, or "" where it throws none.
template <typename Act>
std::string error_of(const Act& act) {
  try {
    act();
  } catch (const UserError& e) {
    return e.what();
  }
  return "";
}

}  // namespace difftune
