#include "families/sdxl/sdxl_family.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>

#include "base/error.h"
#include "families/checkpoint_reader.h"
#include "families/clip_rows.h"
#include "families/load_denoiser.h"
#include "families/sd/sd_name_map.h"
#include "families/sdxl/sdxl_targets.h"
#include "families/target_names.h"
#include "families/text/clip_text_rows.h"
#include "families/text/text_encoder_reader.h"
#include "families/vae_file.h"
#include "nn/functional.h"
#include "nn/parameter_scope.h"
#include "weights/fingerprint.h"

namespace difftune {
namespace {

// Names of the conditioning, which are those of the reference's cache files.
constexpr const char *kStates1 = "hidden_state1", *kStates2 = "hidden_state2", *kPool = "pool2";

class SdxlFamily : public ModelFamily {
 public:
  SdxlFamily(std::shared_ptr<const TensorSource> checkpoint, const ModelRequest& request)
      : checkpoint_(std::move(checkpoint)), request_(request), config_(read_sdxl_config(*checkpoint_)) {
    if (request_.vae) {
      VaeFile vae = open_vae_file(*request_.vae);
      vae_file_ = std::move(vae.tensors);
      config_.vae = vae.config;
    }
    tokenizer1_ = load_clip_tokenizer(kClipLId, request_.tokenizer_folder);
    // The second one pads with "!" (id 0), whatever its files say, and takes a "!" in a prompt for the word.
    tokenizer2_ = load_clip_tokenizer(kClipGId, request_.tokenizer_folder, ClipTokenizer::builtin_sd2());
    info_ = make_info();
  }

  Conditioning encode_text(const TextBatch& batch) const override {
    DT_CHECK(is_loaded(Component::text_encoders), "the text encoders are loaded");
    // Pictures read weights in brackets; captions do where it is asked for.
    const bool weighted = request_.weighted_captions || batch.use == TextBatch::Use::sample_prompt;
    const auto prompts1 = tokenize_captions(*tokenizer1_, batch.texts, request_.max_token_length, weighted);
    const auto& texts2 = batch.second_texts.empty() ? batch.texts : batch.second_texts;
    const auto prompts2 = tokenize_captions(*tokenizer2_, texts2, request_.max_token_length, weighted);
    const at::Tensor ids1 = stack_ids(prompts1).to(request_.device), ids2 = stack_ids(prompts2).to(request_.device);
    check_vocabulary(ids1, config_.text1, checkpoint_->path());
    check_vocabulary(ids2, config_.text2, checkpoint_->path());

    // The last layer but one of each encoder, without the final norm; of the second also the feature of the whole text.
    const auto states1 = text1_->forward(rows_of(ids1), config_.text1.num_layers - 1).hidden_states;
    const auto states2 = text2_->forward(rows_of(ids2)).hidden_states;
    at::Tensor last = states2.back().view({ids2.size(0), ids2.size(1), ids2.size(2), -1}).select(1, 0);
    return {{kStates1, weigh(as_text(states1.back(), ids1), prompts1, weighted)},
            {kStates2, weigh(as_text(states2[states2.size() - 2], ids2), prompts2, weighted)},
            {kPool, text2_->pool(last, ids2.select(1, 0), tokenizer2_->eos_id())}};
  }

  at::Tensor encode_latents(const at::Tensor& images) const override {
    DT_CHECK(vae_, "the VAE is loaded");
    return vae_->encode(images.to(request_.device)).sample();
  }

  at::Tensor decode_latents(const at::Tensor& latents) const override {
    DT_CHECK(vae_, "the VAE is loaded");
    return vae_->decode(latents);
  }

  at::Tensor denoise(const DenoiseInput& input) const override {
    DT_CHECK(unet_, "the U-Net is loaded");
    const at::Tensor& pool = input.conditioning.at(kPool);
    const at::Tensor context = at::cat({input.conditioning.at(kStates1), input.conditioning.at(kStates2)}, 2);
    const at::Tensor sizes = embed_sizes(input.sizes.to(pool.device())).to(pool.scalar_type());
    return unet_->forward({input.latents, input.timesteps, context, at::cat({pool, sizes}, 1)});
  }

  std::vector<AdapterTarget> adapter_targets() const override {
    std::vector<AdapterTarget> targets;
    if (text1_) add_clip_targets(*text1_, 1, targets);
    if (text2_) add_clip_targets(*text2_, 2, targets);
    if (unet_) add_unet_targets(*unet_, single_file_unet_map(), targets);
    return targets;
  }

 protected:
  void read(Component part) override {
    switch (part) {
      case Component::text_encoders:
        text1_ = std::make_unique<ClipText>(config_.text1,
                                            *make_text_encoder_reader(text1_map().to_model(checkpoint_), request_));
        text2_ = std::make_unique<ClipText>(config_.text2,
                                            *make_text_encoder_reader(text2_map().to_model(checkpoint_), request_));
        text1_->set_gradient_checkpointing(request_.gradient_checkpointing);
        text2_->set_gradient_checkpointing(request_.gradient_checkpointing);
        break;
      case Component::vae: {
        const auto source = vae_file_ ? vae_file_ : vae_map().to_model(checkpoint_);
        vae_ = std::make_unique<AutoencoderKL>(config_.vae,
                                               *make_checkpoint_reader(source, request_.vae_dtype, request_.device));
        break;
      }
      case Component::denoiser:
        unet_ = load_denoiser<UNet>(config_.unet, unet_map().to_model(checkpoint_), request_);
        break;
    }
  }

  void drop(Component part) override {
    switch (part) {
      case Component::text_encoders:
        if (!has_text_encoder(1)) text1_ = std::make_unique<ClipText>(config_.text1, *nn::make_shape_reader());
        if (!has_text_encoder(2)) text2_ = std::make_unique<ClipText>(config_.text2, *nn::make_shape_reader());
        break;
      case Component::vae:
        vae_.reset();
        break;
      case Component::denoiser:
        unet_.reset();
        break;
    }
  }

 private:
  FamilyInfo make_info() const {
    FamilyInfo info;
    info.name = "Stable Diffusion XL";
    info.base_model_version = "sdxl_base_v1-0";
    info.modelspec_architecture = "stable-diffusion-xl-v1-base";
    info.modelspec_implementation = "https://github.com/Stability-AI/generative-models";
    info.modelspec_prediction_type = request_.prediction == PredictionType::velocity ? "v" : "epsilon";
    info.default_resolution_px = 1024;
    info.bucket_step_px = 32;
    info.latent_scale = 0.13025;
    info.latent_channels = config_.vae.latent_channels;
    info.pixels_per_latent = config_.vae.downscale();
    info.latent_files = {
        .suffix = "_sdxl.npz", .num_channels = info.latent_channels, .pixels_per_latent = info.pixels_per_latent};
    info.text_files = {.suffix = "_te_outputs.npz", .arrays = {kStates1, kStates2, kPool}, .flags = {}};
    info.text_encoder_id = fmt::format("{} {} {}{}", fingerprint(*text1_map().to_model(checkpoint_)),
                                       fingerprint(*text2_map().to_model(checkpoint_)), request_.max_token_length,
                                       request_.weighted_captions ? " weighted" : "");
    if (request_.reference_quirks) info.text_encoder_id += " reference";
    info.text_rates = {{"textencoder", {1, 2}}};
    return info;
  }

  NameMap single_file_unet_map() const {
    UNetLayout layout;
    layout.level_has_attention.clear();
    for (const int64_t depth : config_.unet.transformer_depth) layout.level_has_attention.push_back(depth > 0);
    layout.layers_per_block = static_cast<int>(config_.unet.num_resnets_per_block);
    return sd_unet_name_map(layout);
  }

  NameMap unet_map() const { return config_.is_diffusers ? NameMap("unet.").rule("*", "*") : single_file_unet_map(); }

  NameMap vae_map() const {
    if (config_.is_diffusers) return diffusers_vae_name_map("vae.");
    return sd_vae_name_map(static_cast<int>(config_.vae.block_channels.size()));
  }

  NameMap text1_map() const {
    return clip_l_name_map(config_.is_diffusers ? "text_encoder." : "conditioner.embedders.0.transformer.");
  }

  NameMap text2_map() const {
    if (config_.is_diffusers) return clip_l_name_map("text_encoder_2.");
    return open_clip_name_map(static_cast<int>(config_.text2.num_layers), "conditioner.embedders.1.model.", true,
                              !request_.reference_quirks);
  }

  static at::Tensor rows_of(const at::Tensor& ids) { return ids.view({-1, ids.size(2)}); }

  // [B n, 77, d] → [B, 75 n + 2, d]
  static at::Tensor as_text(const at::Tensor& states, const at::Tensor& ids) {
    return join_rows(states.view({ids.size(0), ids.size(1), ids.size(2), states.size(2)}));
  }

  static at::Tensor weigh(const at::Tensor& states, const std::vector<PromptTokens>& prompts, bool weighted) {
    if (!weighted) return states;
    const at::Tensor weights = join_rows(stack_weights(prompts).unsqueeze(-1)).to(states.device());
    return states * weights.to(states.scalar_type());
  }

  // [B, 6] → [B, 6 e]: each size as sinusoids (arXiv:2307.01952, section 2.2).
  at::Tensor embed_sizes(const at::Tensor& sizes) const {
    return nn::timestep_embedding(sizes.flatten(), config_.size_embedding()).view({sizes.size(0), -1});
  }

  std::shared_ptr<const TensorSource> checkpoint_, vae_file_;
  ModelRequest request_;
  SdxlConfig config_;
  std::shared_ptr<const ClipTokenizer> tokenizer1_, tokenizer2_;
  std::unique_ptr<ClipText> text1_, text2_;
  std::unique_ptr<AutoencoderKL> vae_;
  std::unique_ptr<UNet> unet_;
};

}  // namespace

std::unique_ptr<ModelFamily> make_sdxl_family(std::shared_ptr<const TensorSource> checkpoint,
                                              const ModelRequest& request) {
  return std::make_unique<SdxlFamily>(std::move(checkpoint), request);
}

}  // namespace difftune
