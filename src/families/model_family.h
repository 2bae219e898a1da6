// What training, sampling and caching need of a kind of model: the seam between them and its architecture.
//
// A family is a folder below families/ and a row in family_table.cpp. It holds no training state. What differs between
// families as a value is in FamilyInfo; what differs as a computation is a virtual function.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "adapters/adapter.h"
#include "adapters/lora_arguments.h"
#include "base/files.h"
#include "data/cache_formats.h"
#include "diffusion/ddpm_objective.h"
#include "diffusion/flow_objective.h"
#include "diffusion/samplers.h"
#include "weights/tensor_source.h"

namespace difftune {

enum class Component { text_encoders, vae, denoiser };
inline constexpr int kNumComponents = 3;

// How the weights of one part are kept.
struct WeightForm {
  c10::ScalarType dtype = c10::kFloat;  // of its computations
  bool is_fp8 = false;                  // its matrices are kept in 8 bits (float8_e4m3fn)
};

// How a command asks for a model. A family that needs more adds its part here.
struct ModelRequest {
  fs::path checkpoint;          // a single file, or a Diffusers folder
  std::optional<fs::path> vae;  // instead of the checkpoint's own
  std::optional<fs::path> tokenizer_folder;
  c10::Device device = c10::kCPU;
  c10::ScalarType dtype = c10::kFloat;  // of denoiser and text encoders
  c10::ScalarType vae_dtype = c10::kFloat;
  std::optional<WeightForm> clip_form, t5_form, gemma_form;  // else by `dtype` and has_fp8_text_encoders
  PredictionType prediction = PredictionType::epsilon;
  int max_token_length = 75;
  std::optional<int> clip_skip;
  bool weighted_captions = false;
  // Parts of models that come in several files.
  std::optional<fs::path> clip_l, clip_g, t5xxl, gemma2, autoencoder;
  std::optional<int> t5_length, gemma_length;  // tokens of a caption; without them the family's own
  bool masks_clip = false, masks_t5 = false;   // padding is hidden
  std::string system_prompt;                   // before every caption
  bool system_prompt_on_negatives = false;     // and before what a picture shall not show
  double position_crop_rate = 0;               // share of steps that see another place of the table of positions
  // Sides of the squares whose area the resolutions of training have: tables of positions are made for them.
  std::vector<int64_t> scaled_position_sizes_px;
  double clip_l_dropout = 0, clip_g_dropout = 0, t5_dropout = 0;  // shares of captions that single encoders do not say
  double guidance = 3.5;  // what a guidance-distilled model is told while training
  // Computes the inner results of denoiser and text encoders again in the backward pass.
  bool gradient_checkpointing = false;
  bool keeps_checkpoints_on_cpu = false;  // what these keep waits in main memory
  // Matrices of frozen weights are kept in 8 bits (float8_e4m3fn).
  bool has_fp8_denoiser = false, has_fp8_text_encoders = false;
  int64_t blocks_to_swap = 0;  // blocks of the denoiser whose weights wait in main memory
  bool reference_quirks = false;
  // Only this part will be loaded: files of others may be missing.
  std::optional<Component> only;

  bool needs(Component part) const { return !only || *only == part; }
};

// How long guidance acts and how much it may change, where the model's authors limit it.
// Source: Alpha-VLLM/Lumina-Image-2.0, models/model.py, forward_with_cfg.
struct GuidanceLimits {
  double end = 0.25;        // it acts as long as less than this share of the way from noise to data is done
  double largest_norm = 1;  // of the guided prediction, in norms of the unguided one; 0: no limit
};

// How pictures are made with a model where their prompts do not say it, and what prompts may say.
struct PictureTraits {
  int64_t side_px = 512, side_step_px = 8;  // sides are multiples of the step
  int64_t num_steps = 30;                   // of samples
  int64_t full_num_steps = 50;              // of pictures for their own sake
  double scale = 7.5;                       // of classifier-free guidance (arXiv 2207.12598)
  // Whether a scale below 1 leads away from the prompt. For the others it is no guidance.
  bool scales_below_one = false;
  bool has_samplers = true;        // to choose from; else its own sampler makes all pictures
  std::optional<double> guidance;  // that a guidance-distilled model is told
  std::optional<GuidanceLimits> limits;

  // How the reference departs from the authors: it draws noise as a sequence of 2 x 2 tokens, and takes shift and scale
  // off the latents of samples before it decodes them, which takes them off too.
  bool draws_noise_in_tokens = false;
  double sample_shift = 0, sample_scale = 1;
};

// A share of the training's captions that one text encoder does not say: what it gives is zero for them.
struct TextDropout {
  double rate = 0;
  int encoder = 1;  // its number, see AdapterTarget::component
  // Which captions is drawn for sample by sample, in each for all encoders of a round; then comes the next round.
  int round = 0;
  // Features of an array of the conditioning, along its last axis: `count` from `first`, or all from there.
  struct Part {
    std::string array;
    int64_t first = 0;
    std::optional<int64_t> count = std::nullopt;
  };
  std::vector<Part> parts;
};

struct FamilyInfo {
  std::string name;                // "Stable Diffusion 1.x"
  std::string base_model_version;  // ss_base_model_version
  Metadata metadata;               // more ss_* entries of a LoRA
  std::string modelspec_architecture;
  std::string modelspec_implementation;
  std::optional<std::string> modelspec_prediction_type;
  int64_t default_resolution_px = 512;  // modelspec.resolution where none is given
  int64_t bucket_step_px = 64;          // bucket_reso_steps must be a multiple of it

  // The denoiser sees (latents − shift) × scale.
  double latent_shift = 0, latent_scale = 1;
  int64_t latent_channels = 4;
  int64_t pixels_per_latent = 8;
  LatentFileFormat latent_files;

  // The cache of encode_text(): its arrays are the names of the conditioning.
  TextFileFormat text_files;
  // The text encoders' weights and how they are used; caches made with another one are rebuilt.
  std::string text_encoder_id;
  std::vector<TextRateGroup> text_rates = {TextRateGroup{}};
  std::vector<TextDropout> text_dropouts;
  // What --network_args of its LoRA may say.
  LoraArguments lora = plain_lora_arguments();
  PictureTraits pictures = {};
};

// What the text says to the denoiser: tensors by name, the batch first ("context": [B, tokens, size]). Each row belongs
// to one text and does not depend on the others, so that rows can be cached. The names are those of the cache files.
using Conditioning = TextOutputs;

struct TextBatch {
  // Sample prompts may hold weights in brackets, where the family's encoders take them; those of single pictures are
  // read as they stand. The second text of either is what the picture shall not show. A cached caption is one whose
  // outputs are kept for all steps.
  enum class Use { training_caption, cached_caption, sample_prompt, picture_prompt };
  std::vector<std::string> texts;
  Use use = Use::training_caption;
  // What the second text encoder reads instead, where a family has several; empty: the same.
  std::vector<std::string> second_texts = {};
};

struct DenoiseInput {
  at::Tensor latents;    // [B, C, h, w], scaled
  at::Tensor timesteps;  // [B]
  const Conditioning& conditioning;
  at::Tensor sizes = {};                          // [B, 6], see Batch::sizes(); only some families need them
  std::optional<double> guidance = std::nullopt;  // of this picture, for guidance-distilled models
};

// How training asks for its objective; a family takes what it needs.
struct ObjectiveSettings {
  DdpmObjectiveConfig ddpm;
  FlowObjectiveConfig flow;
};

// How a picture asks for its sampler.
struct SamplerSettings {
  SamplerConfig sampler;
  bool zero_terminal_snr = false;
  int64_t width_px = 0, height_px = 0;
  std::optional<double> flow_shift = {};  // of a flow model with a fixed one, in place of its own
};

class ModelFamily {
 public:
  virtual ~ModelFamily() = default;

  const FamilyInfo& info() const { return info_; }

  // Reads a part from the checkpoint, or gives its memory back. Neither draws random numbers; a part that is there
  // already, or is not there, stays so.
  void load(Component part);
  void unload(Component part);
  bool is_loaded(Component part) const { return loaded_[static_cast<int>(part)]; }
  // Gives back the memory of the text encoders that are not named, by their numbers in AdapterTarget::component. From
  // then on encode_text() gives only what the others say; where none is left, the part counts as unloaded.
  void unload_text_encoders_except(const std::vector<int>& kept);
  // Whether the text encoder of this number is in memory; while drop() runs, whether it is to stay there.
  bool has_text_encoder(int number) const;

  virtual Conditioning encode_text(const TextBatch& batch) const = 0;
  // images: [B, 3, H, W] in [-1, 1] → a sample of the latents' distribution, unscaled, drawn from the default
  // generator.
  virtual at::Tensor encode_latents(const at::Tensor& images) const = 0;
  // Unscaled latents → [B, 3, H, W], about [-1, 1].
  virtual at::Tensor decode_latents(const at::Tensor& latents) const = 0;
  // What the model predicts, as the objective's target has it (noise or velocity): [B, C, h, w].
  virtual at::Tensor denoise(const DenoiseInput& input) const = 0;

  // What the model is trained to predict. Here: noise or v of a DDPM forward process.
  virtual std::unique_ptr<Objective> make_objective(const ObjectiveSettings& settings, at::Device device) const;
  // What turns noise into latents with it. Here: the samplers of DDPM models.
  virtual std::unique_ptr<Sampler> make_sampler(const SamplerSettings& settings) const;

  // The layers that adapters may sit on, in the order in which the reference creates its modules: those of loaded
  // parts, and of text encoders that were unloaded (the reference draws their initial values in any case).
  virtual std::vector<AdapterTarget> adapter_targets() const = 0;

 protected:
  virtual void read(Component part) = 0;
  // Text encoders keep their structure (nn::make_shape_reader()) for adapter_targets(); those that has_text_encoder()
  // still names stay.
  virtual void drop(Component part) = 0;

  FamilyInfo info_;  // complete at the end of the constructor

 private:
  bool loaded_[kNumComponents] = {};
  std::optional<std::vector<int>> kept_text_encoders_;  // all without it
};

}  // namespace difftune
