// What training, sampling and caching need of a kind of model: the seam between them and its architecture.
//
// A family is a folder below families/ and a row in family_table.cpp. It holds no training state.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "adapters/adapter.h"
#include "base/files.h"
#include "diffusion/ddpm_schedule.h"

namespace difftune {

// How a command asks for a model.
struct ModelRequest {
  fs::path checkpoint;          // a single file, or a Diffusers folder
  std::optional<fs::path> vae;  // instead of the checkpoint's own
  std::optional<fs::path> tokenizer_folder;
  c10::Device device = c10::kCPU;
  c10::ScalarType dtype = c10::kFloat;  // of denoiser and text encoders
  c10::ScalarType vae_dtype = c10::kFloat;
  PredictionType prediction = PredictionType::epsilon;
  int max_token_length = 75;
  std::optional<int> clip_skip;
  bool weighted_captions = false;
  bool reference_quirks = false;
};

struct FamilyInfo {
  std::string name;                // "Stable Diffusion 1.x"
  std::string base_model_version;  // ss_base_model_version
  std::string modelspec_architecture;
  std::string modelspec_implementation;
  int64_t default_resolution_px = 512;  // modelspec.resolution where none is given
  double latent_scale = 1;              // the denoiser sees latents × latent_scale
  int64_t latent_channels = 4;
  int64_t pixels_per_latent = 8;
  std::string latent_cache_suffix;
};

enum class Component { text_encoders, vae, denoiser };

// What the text says to the denoiser: tensors by name ("context": [B, tokens, size]; others as the family needs).
using Conditioning = std::map<std::string, at::Tensor>;

struct TextBatch {
  enum class Use { training_caption, sample_prompt };
  std::vector<std::string> texts;
  Use use = Use::training_caption;
};

struct DenoiseInput {
  at::Tensor latents;    // [B, C, h, w], scaled
  at::Tensor timesteps;  // [B]
  const Conditioning& conditioning;
};

class ModelFamily {
 public:
  virtual ~ModelFamily() = default;

  virtual FamilyInfo info() const = 0;

  // Reads a part from the checkpoint, or gives its memory back. Neither draws random numbers.
  virtual void load(Component part) = 0;
  virtual void unload(Component part) = 0;
  virtual bool is_loaded(Component part) const = 0;

  virtual Conditioning encode_text(const TextBatch& batch) const = 0;
  // images: [B, 3, H, W] in [-1, 1] → a sample of the latents' distribution, unscaled, drawn from the default
  // generator.
  virtual at::Tensor encode_latents(const at::Tensor& images) const = 0;
  // Unscaled latents → [B, 3, H, W], about [-1, 1].
  virtual at::Tensor decode_latents(const at::Tensor& latents) const = 0;
  // What the model predicts (noise or velocity): [B, C, h, w].
  virtual at::Tensor denoise(const DenoiseInput& input) const = 0;

  // The layers of the loaded parts that adapters may sit on, in the order in which the reference creates its modules.
  virtual std::vector<AdapterTarget> adapter_targets() const = 0;
  virtual void set_gradient_checkpointing(bool enabled) = 0;
};

}  // namespace difftune
