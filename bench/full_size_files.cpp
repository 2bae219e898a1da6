// Writes the files of a model at its published size with random weights, and prints the words with which the training
// command of its family names them: what bench/full_size.py runs.
//
//   difftune_full_size_files FAMILY FOLDER
//
// Texts: T5 XXL and CLIP in float16, Gemma 2 2B in bfloat16; autoencoders in float32; the rest in bfloat16, SDXL in
// float16, as users have them. A file that is there already stays.
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/randn.h>
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <span>

#include "base/error.h"
#include "base/files.h"
#include "models/autoencoder_kl.h"
#include "models/chroma.h"
#include "models/clip_text.h"
#include "models/flux.h"
#include "models/gemma2.h"
#include "models/mmdit.h"
#include "models/nextdit.h"
#include "models/t5_encoder.h"
#include "models/unet.h"
#include "nn/parameter_scope.h"
#include "weights/safetensors.h"

namespace difftune {
namespace {

// A prime: no row of a matrix begins where another does.
constexpr int64_t kPeriod = 16'777'213;

// Notes what a model's constructor asks for.
class Recorder : public nn::ParameterReader {
 public:
  struct Values {
    double scale, mean;
  };

  explicit Recorder(c10::ScalarType stored) : stored_(stored) {}

  at::Tensor read(const std::string& path, at::IntArrayRef shape, nn::Init init, int64_t fan_in) override {
    tensors.push_back({path, stored_, shape.vec()});
    values[path] = init == nn::Init::uniform_fan_in && shape.size() > 1
                       ? Values{1 / std::sqrt(static_cast<double>(fan_in)), 0}
                       : Values{init == nn::Init::ones ? 0.05 : 0.02, init == nn::Init::ones ? 1.0 : 0.0};
    return shapes_->read(path, shape, init, fan_in);
  }

  std::vector<TensorDeclaration> tensors;
  std::map<std::string, Values> values;

 private:
  c10::ScalarType stored_;
  std::unique_ptr<nn::ParameterReader> shapes_ = nn::make_shape_reader();
};

// Normal numbers with the scales of trained weights: activations stay sane at any depth. All tensors read one sequence.
at::Tensor draw(const std::vector<int64_t>& shape, Recorder::Values values, c10::ScalarType dtype) {
  static const at::Tensor sequence =
      at::randn({kPeriod}, at::make_generator<at::CPUGeneratorImpl>(1), at::TensorOptions(at::kFloat));
  const int64_t count = c10::multiply_integers(shape);
  const at::Tensor part = (sequence.narrow(0, 0, std::min(count, kPeriod)) * values.scale + values.mean).to(dtype);
  const at::Tensor all = count <= kPeriod ? part : part.repeat({(count + kPeriod - 1) / kPeriod});
  return all.narrow(0, 0, count).view(shape);
}

template <typename Model, typename Config>
std::string write(const fs::path& file, const Config& config, c10::ScalarType dtype) {
  if (fs::exists(file)) return file.string();
  fs::create_directories(file.parent_path());
  Recorder recorder(dtype);
  const Model model(config, recorder);
  std::map<std::string, std::vector<int64_t>> shapes;
  for (const auto& tensor : recorder.tensors) shapes[tensor.name] = tensor.shape;
  write_safetensors(file, recorder.tensors,
                    [&](const std::string& name) { return draw(shapes.at(name), recorder.values.at(name), dtype); });
  return file.string();
}

using Words = std::vector<std::string>;

AutoencoderConfig vae(int64_t channels) { return {.latent_channels = channels, .has_quant_conv = channels == 4}; }

const ClipTextConfig kClipL;
const ClipTextConfig kClipG{.hidden_size = 1280,
                            .intermediate_size = 5120,
                            .num_layers = 32,
                            .num_heads = 20,
                            .uses_quick_gelu = false,
                            .projection_size = 1280};

std::string write_t5(const fs::path& folder) {
  return write<T5Encoder>(folder / "t5xxl.safetensors", T5EncoderConfig(), at::kHalf);
}

std::string write_vae(const fs::path& folder) {
  return write<AutoencoderKL>(folder / "ae.safetensors", vae(16), at::kFloat);
}

std::string write_clip_l(const fs::path& folder) {
  return write<ClipText>(folder / "clip_l.safetensors", kClipL, at::kHalf);
}

// Diffusers' folder.
Words write_sdxl(const fs::path& folder) {
  const fs::path model = folder / "sdxl";
  const UNetConfig unet{.block_channels = {320, 640, 1280},
                        .transformer_depth = {0, 2, 10},
                        .num_heads = {5, 10, 20},
                        .context_size = 2048,
                        .uses_linear_projection = true,
                        .vector_size = 2816};
  write<UNet>(model / "unet" / "diffusion_pytorch_model.safetensors", unet, at::kHalf);
  write<AutoencoderKL>(model / "vae" / "diffusion_pytorch_model.safetensors", vae(4), at::kHalf);
  write<ClipText>(model / "text_encoder" / "model.safetensors", kClipL, at::kHalf);
  write<ClipText>(model / "text_encoder_2" / "model.safetensors", kClipG, at::kHalf);
  write_file_atomically(model / "model_index.json", "{}");
  return {"sdxl_train_network", "--pretrained_model_name_or_path", model.string()};
}

// What flux_train_network needs beside the transformer (and CLIP).
Words with_text_and_autoencoder(Words words, const fs::path& folder, const std::string& guidance_scale) {
  const Words more{"--t5xxl", write_t5(folder),   "--ae",        write_vae(folder), "--model_prediction_type",
                   "raw",     "--guidance_scale", guidance_scale};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

Words write_flux(const fs::path& folder) {
  const Words words{"flux_train_network", "--pretrained_model_name_or_path",
                    write<Flux>(folder / "flux_dev.safetensors", FluxConfig(), at::kBFloat16), "--clip_l",
                    write_clip_l(folder)};
  return with_text_and_autoencoder(words, folder, "1");
}

Words write_chroma(const fs::path& folder) {
  const Words words{"flux_train_network",
                    "--model_type",
                    "chroma",
                    "--apply_t5_attn_mask",
                    "--pretrained_model_name_or_path",
                    write<Chroma>(folder / "chroma.safetensors", ChromaConfig(), at::kBFloat16)};
  return with_text_and_autoencoder(words, folder, "0");
}

Words write_sd35_large(const fs::path& folder) {
  const MMDiTConfig large{
      .hidden_size = 38 * 64, .mlp_size = 4 * 38 * 64, .num_heads = 38, .num_blocks = 38, .has_qk_norm = true};
  return {"sd3_train_network",
          "--pretrained_model_name_or_path",
          write<MMDiT>(folder / "sd35_large.safetensors", large, at::kBFloat16),
          "--clip_l",
          write_clip_l(folder),
          "--clip_g",
          write<ClipText>(folder / "clip_g.safetensors", kClipG, at::kHalf),
          "--t5xxl",
          write_t5(folder),
          "--vae",
          write_vae(folder)};
}

Words write_lumina(const fs::path& folder) {
  return {"lumina_train_network",
          "--pretrained_model_name_or_path",
          write<NextDiT>(folder / "lumina.safetensors", NextDiTConfig(), at::kBFloat16),
          "--gemma2",
          write<Gemma2>(folder / "gemma2_2b.safetensors", Gemma2Config(), at::kBFloat16),
          "--ae",
          write_vae(folder),
          "--model_prediction_type",
          "raw"};
}

struct Family {
  const char* name;
  Words (*write)(const fs::path& folder);
};
constexpr Family kFamilies[] = {{"sdxl", write_sdxl},
                                {"flux", write_flux},
                                {"chroma", write_chroma},
                                {"sd35_large", write_sd35_large},
                                {"lumina", write_lumina}};

void run(std::span<char*> words) {
  std::string names;
  for (const Family& family : kFamilies) {
    names += fmt::format("{}{}", names.empty() ? "" : ", ", family.name);
    if (words.size() != 3 || words[1] != std::string_view(family.name)) continue;
    for (const std::string& word : family.write(words[2])) fmt::print("{}\n", word);
    return;
  }
  throw UsageError(fmt::format("expected FAMILY FOLDER, where FAMILY is one of {}", names));
}

}  // namespace
}  // namespace difftune

int main(int argc, char** argv) {
  try {
    difftune::run({argv, static_cast<size_t>(argc)});
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
  return 0;
}
