#include "families/flux/flux_family.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include "base/error.h"
#include "diffusion/flow_sampler.h"
#include "families/autoencoder_part.h"
#include "families/flux/flux_name_map.h"
#include "families/flux/flux_targets.h"
#include "families/load_denoiser.h"
#include "families/sd/sd_config.h"
#include "families/sd/sd_name_map.h"
#include "families/target_names.h"
#include "families/text/flux_text.h"
#include "families/text/text_encoder_reader.h"
#include "nn/parameter_scope.h"
#include "weights/fingerprint.h"
#include "weights/open_weights.h"

namespace difftune {
namespace {

// Names of the conditioning, which are those of the reference's cache files.
constexpr const char *kPooled = "l_pooled", *kStates = "t5_out", *kPositions = "txt_ids", *kMask = "t5_attn_mask";

std::shared_ptr<const TensorSource> open_part(const std::optional<fs::path>& file, const char* option) {
  if (!file) throw UsageError(fmt::format("{} is missing: the file with this part of the model", option));
  if (!fs::exists(*file)) fail("{} {}: there is no such file", option, file->string());
  return open_weights(*file);
}

// The transformer under the names of Black Forest Labs, out of a file in either layout.
std::shared_ptr<const TensorSource> bfl_transformer(const std::shared_ptr<const TensorSource>& checkpoint) {
  const auto diffusers_prefix = flux_diffusers_prefix(*checkpoint);
  if (!diffusers_prefix) return NameMap(flux_prefix(*checkpoint)).rule("*", "*").to_model(checkpoint);
  const NameMap map = flux_diffusers_name_map(*diffusers_prefix);
  map.require_complete(*checkpoint);
  return map.to_checkpoint(checkpoint);
}

// Half of the count of double blocks, which are twice as large as single ones, and single blocks for the other half, as
// the reference divides it.
std::vector<std::string> last_double_and_single_blocks(const nn::NamedBlocks& blocks, int64_t count) {
  nn::NamedBlocks doubles, singles;
  for (const auto& block : blocks) (block.first.starts_with("double") ? doubles : singles).push_back(block);
  const int64_t num_double = count / 2, num_single = 2 * (count - num_double);
  const auto fits = [](const nn::NamedBlocks& all, int64_t n) { return n <= static_cast<int64_t>(all.size()) - 2; };
  if (!fits(doubles, num_double) || !fits(singles, num_single)) {
    throw UsageError(
        fmt::format("--blocks_to_swap {} means {} double and {} single blocks; this model has {} and {}, of which two "
                    "each must stay",
                    count, num_double, num_single, doubles.size(), singles.size()));
  }
  auto paths = last_blocks(doubles, num_double);
  for (auto& path : last_blocks(singles, num_single)) paths.push_back(std::move(path));
  return paths;
}

class FluxFamily : public ModelFamily {
 public:
  FluxFamily(std::shared_ptr<const TensorSource> checkpoint, const ModelRequest& request, bool is_chroma)
      : request_(request), is_chroma_(is_chroma) {
    if (request_.needs(Component::vae)) {
      autoencoder_.emplace(request_.autoencoder.value_or(fs::path()), "--ae", kFluxLatents,
                           /*clamps_log_variance=*/false);
    }
    transformer_file_ = bfl_transformer(checkpoint);
    if (is_chroma_) {
      chroma_config_ = read_chroma_config(*transformer_file_, "");
      config_ = chroma_config_.blocks;
    } else {
      config_ = read_flux_config(*transformer_file_, "");
    }
    if (request_.needs(Component::text_encoders)) open_text_encoders();
    info_ = make_info();
  }

  Conditioning encode_text(const TextBatch& batch) const override {
    DT_CHECK(is_loaded(Component::text_encoders), "the text encoders are loaded");
    const auto tokens =
        tokenize_flux_text(is_chroma_ ? nullptr : clip_tokenizer_.get(), *t5_tokenizer_, batch.texts, t5_length());
    Conditioning text =
        encode_flux_text(has_text_encoder(1) ? clip_.get() : nullptr, has_text_encoder(2) ? t5_.get() : nullptr, tokens,
                         request_.masks_t5, request_.device);
    // Caches of Chroma hold zeros in its place.
    if (is_chroma_ && has_text_encoder(2))
      text[kPooled] = at::zeros({text[kStates].size(0), 77, 1}, text[kStates].options());
    return text;
  }

  at::Tensor encode_latents(const at::Tensor& images) const override { return autoencoder_.value().encode(images); }
  at::Tensor decode_latents(const at::Tensor& latents) const override { return autoencoder_.value().decode(latents); }

  at::Tensor denoise(const DenoiseInput& input) const override {
    DT_CHECK(flux_ || chroma_, "the transformer is loaded");
    FluxInput to_model;
    to_model.latents = input.latents;
    to_model.timesteps = input.timesteps / 1000;
    to_model.text = input.conditioning.at(kStates);
    to_model.vector = input.conditioning.at(kPooled);
    to_model.guidance = at::full({input.latents.size(0)}, input.guidance.value_or(request_.guidance),
                                 at::TensorOptions(at::kFloat).device(input.latents.device()));
    if (request_.masks_t5) to_model.text_mask = input.conditioning.at(kMask);
    return is_chroma_ ? chroma_->forward(to_model) : flux_->forward(to_model);
  }

  std::unique_ptr<Objective> make_objective(const ObjectiveSettings& settings, at::Device) const override {
    return std::make_unique<FlowObjective>(settings.flow);
  }

  std::unique_ptr<Sampler> make_sampler(const SamplerSettings& settings) const override {
    const int64_t token_px = 2 * info_.pixels_per_latent;
    const int64_t num_tokens = (settings.width_px / token_px) * (settings.height_px / token_px);
    // The reference shifts the schedule of its samples during training for schnell as well.
    const bool is_shifted = config_.has_guidance || settings.sampler.reference_quirks;
    return make_flow_euler_sampler(flux_sigmas(settings.sampler.num_steps, num_tokens, is_shifted));
  }

  std::vector<AdapterTarget> adapter_targets() const override {
    std::vector<AdapterTarget> targets;
    if (clip_) add_clip_targets(*clip_, 1, targets);
    if (t5_) add_t5_targets(*t5_, 2, targets);
    if (flux_) add_flux_targets(flux_->index(), config_, targets);
    if (chroma_) add_flux_targets(chroma_->index(), config_, targets);
    return targets;
  }

 protected:
  void read(Component part) override {
    const bool checkpoints = request_.gradient_checkpointing;
    switch (part) {
      case Component::text_encoders:
        if (!is_chroma_) {
          clip_ = std::make_unique<ClipText>(clip_config_,
                                             *make_text_encoder_reader(clip_file_, request_, request_.clip_form));
          clip_->set_gradient_checkpointing(checkpoints);
        }
        t5_ = std::make_unique<T5Encoder>(t5_part_.config,
                                          *make_text_encoder_reader(t5_part_.tensors, request_, request_.t5_form));
        t5_->set_gradient_checkpointing(checkpoints);
        break;
      case Component::vae:
        autoencoder_.value().load(request_.vae_dtype, request_.device);
        break;
      case Component::denoiser:
        if (is_chroma_) {
          chroma_ = load_denoiser<Chroma>(chroma_config_, transformer_file_, request_, last_double_and_single_blocks);
        } else {
          flux_ = load_denoiser<Flux>(config_, transformer_file_, request_, last_double_and_single_blocks);
        }
        break;
    }
  }

  void drop(Component part) override {
    switch (part) {
      case Component::text_encoders:
        if (!is_chroma_ && !has_text_encoder(1)) {
          clip_ = std::make_unique<ClipText>(clip_config_, *nn::make_shape_reader());
        }
        if (!has_text_encoder(2)) t5_ = std::make_unique<T5Encoder>(t5_part_.config, *nn::make_shape_reader());
        break;
      case Component::vae:
        autoencoder_.value().unload();
        break;
      case Component::denoiser:
        flux_.reset();
        chroma_.reset();
        break;
    }
  }

 private:
  void open_text_encoders() {
    if (!is_chroma_) {
      const auto file = open_part(request_.clip_l, "--clip_l");
      clip_file_ = clip_l_name_map("").to_model(file);
      clip_config_ = read_clip_config(*clip_file_, "");
      // The reference runs FLUX's CLIP with the exact GELU instead of the one that it was trained with.
      clip_config_.uses_quick_gelu = !request_.reference_quirks;
      if (clip_config_.hidden_size != config_.vector_size) {
        fail("--clip_l {}: its text feature has {} values, the transformer takes {}", request_.clip_l->string(),
             clip_config_.hidden_size, config_.vector_size);
      }
    }
    const auto file = open_part(request_.t5xxl, "--t5xxl");
    auto t5 = find_t5(file);
    if (!t5) fail("--t5xxl {}: holds no T5 encoder (no encoder.block… keys)", request_.t5xxl->string());
    t5_part_ = std::move(*t5);
    if (t5_part_.config.hidden_size != config_.context_size) {
      fail("--t5xxl {}: its states have {} values, the transformer takes {}", request_.t5xxl->string(),
           t5_part_.config.hidden_size, config_.context_size);
    }
    t5_tokenizer_ = load_t5_tokenizer(request_.tokenizer_folder);
    clip_tokenizer_ = load_clip_tokenizer(kClipLId, request_.tokenizer_folder);
  }

  FamilyInfo make_info() const {
    FamilyInfo info;
    const char* variant = config_.has_guidance ? "dev" : "schnell";
    info.name = is_chroma_ ? "Chroma" : fmt::format("FLUX.1 {}", variant);
    info.base_model_version = is_chroma_ ? "chroma" : "flux1";
    info.modelspec_architecture = is_chroma_ ? "chroma" : fmt::format("flux-1-{}", variant);
    info.modelspec_implementation =
        is_chroma_ ? "https://huggingface.co/lodestones/Chroma" : "https://github.com/black-forest-labs/flux";
    info.default_resolution_px = 1024;
    info.bucket_step_px = 64;
    info.latent_channels = config_.in_channels / 4;
    if (autoencoder_) {
      info.pixels_per_latent = autoencoder_->pixels_per_latent();
      info.latent_files = autoencoder_->cache_files("_flux.npz");
    }
    info.text_files = {.suffix = "_flux_te.npz",
                       .arrays = {kPooled, kStates, kPositions, kMask},
                       .flags = {{"apply_t5_attn_mask", request_.masks_t5}}};
    if (t5_part_.tensors) {
      const std::string clip = clip_file_ ? fingerprint(*clip_file_) : "";
      info.text_encoder_id = fmt::format("{} {} {}{}", clip, fingerprint(*t5_part_.tensors), t5_length(),
                                         clip_config_.uses_quick_gelu ? "" : " exact gelu");
    }
    if (!is_chroma_) info.text_rates = {{"textencoder 1 ", {1}}, {"textencoder 2 ", {2}}};
    if (is_chroma_) info.text_rates = {{"textencoder 2 ", {2}}};
    info.lora = flux_lora_arguments();
    info.pictures = picture_traits(info.pixels_per_latent);
    return info;
  }

  PictureTraits picture_traits(int64_t pixels_per_latent) const {
    PictureTraits traits;
    traits.side_step_px = 2 * pixels_per_latent;
    traits.num_steps = 20;
    traits.full_num_steps = config_.has_guidance ? 50 : 4;
    traits.scale = 1;
    traits.scales_below_one = true;
    traits.has_samplers = false;
    // Chroma was trained with 0; the reference tells it what it tells FLUX.
    if (config_.has_guidance) traits.guidance = is_chroma_ && !request_.reference_quirks ? 0 : 3.5;
    traits.draws_noise_in_tokens = request_.reference_quirks;
    return traits;
  }

  // Schnell was distilled with 256 tokens.
  int t5_length() const { return request_.t5_length.value_or(config_.has_guidance ? 512 : 256); }

  ModelRequest request_;
  bool is_chroma_;
  std::optional<AutoencoderPart> autoencoder_;  // where pictures are encoded or made
  FluxConfig config_;
  ChromaConfig chroma_config_;
  ClipTextConfig clip_config_;
  T5Part t5_part_;
  std::shared_ptr<const TensorSource> transformer_file_, clip_file_;
  std::shared_ptr<const ClipTokenizer> clip_tokenizer_;
  std::shared_ptr<const T5Tokenizer> t5_tokenizer_;
  std::unique_ptr<ClipText> clip_;
  std::unique_ptr<T5Encoder> t5_;
  std::unique_ptr<Flux> flux_;
  std::unique_ptr<Chroma> chroma_;
};

}  // namespace

std::unique_ptr<ModelFamily> make_flux_family(std::shared_ptr<const TensorSource> checkpoint,
                                              const ModelRequest& request) {
  return std::make_unique<FluxFamily>(std::move(checkpoint), request, false);
}

std::unique_ptr<ModelFamily> make_chroma_family(std::shared_ptr<const TensorSource> checkpoint,
                                                const ModelRequest& request) {
  return std::make_unique<FluxFamily>(std::move(checkpoint), request, true);
}

}  // namespace difftune
