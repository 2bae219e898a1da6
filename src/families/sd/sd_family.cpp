#include "families/sd/sd_family.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/where.h>

#include <algorithm>

#include "base/error.h"
#include "families/checkpoint_reader.h"
#include "families/clip_rows.h"
#include "families/load_denoiser.h"
#include "families/sd/sd_config.h"
#include "families/sd/sd_name_map.h"
#include "families/text/clip_text_rows.h"
#include "families/text/text_encoder_reader.h"
#include "families/vae_file.h"
#include "nn/parameter_scope.h"

namespace difftune {
namespace {

// A checkpoint under the names of one of the model's parts.
std::shared_ptr<const TensorSource> part_of(const std::shared_ptr<const TensorSource>& checkpoint, const NameMap& map) {
  return map.to_model(checkpoint);
}

// Maps the names of a Diffusers component, which are the model's own.
NameMap same_names(const std::string& prefix) { return NameMap(prefix).rule("*", "*"); }

class SdFamily : public ModelFamily {
 public:
  SdFamily(std::shared_ptr<const TensorSource> checkpoint, const ModelRequest& request, bool is_v2)
      : checkpoint_(std::move(checkpoint)), request_(request), config_(read_sd_config(*checkpoint_, is_v2)) {
    if (request_.vae) {
      VaeFile vae = open_vae_file(*request_.vae);
      vae_file_ = std::move(vae.tensors);
      config_.vae = vae.config;
    }
    tokenizer_ = load_clip_tokenizer(config_.is_v2 ? "stabilityai/stable-diffusion-2" : kClipLId,
                                     request_.tokenizer_folder, builtin_tokenizer());
    const int layers = static_cast<int>(config_.text.num_layers);
    if (request_.clip_skip && (*request_.clip_skip < 1 || *request_.clip_skip > layers)) {
      throw UsageError(fmt::format("--clip_skip {}: expected 1 to {}, the number of the text encoder's layers",
                                   *request_.clip_skip, layers));
    }
    info_ = make_info();
  }

  Conditioning encode_text(const TextBatch& batch) const override {
    DT_CHECK(is_loaded(Component::text_encoders), "the text encoder is loaded");
    return {{"context", batch.use == TextBatch::Use::sample_prompt ? encode_sample_prompts(batch.texts)
                                                                   : encode_captions(batch.texts)}};
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
    return unet_->forward({input.latents, input.timesteps, input.conditioning.at("context"), {}});
  }

  std::vector<AdapterTarget> adapter_targets() const override {
    std::vector<AdapterTarget> targets;
    const auto add = [&](nn::Layer* layer, const char* prefix, int component, bool is_convolutional) {
      std::string name = prefix + layer->path();
      std::replace(name.begin(), name.end(), '.', '_');
      targets.push_back({layer, std::move(name), component, is_convolutional});
    };
    if (text_) {
      for (nn::Layer* layer : text_->index().layers) add(layer, "lora_te_", 1, false);
    }
    if (unet_) {
      for (nn::Layer* layer : unet_->index().layers) {
        const auto has = [&](const char* part) { return layer->path().find(part) != std::string::npos; };
        const bool is_convolutional = has("resnets.") || has("downsamplers.") || has("upsamplers.");
        if (has("attentions.") || is_convolutional) add(layer, "lora_unet_", 0, is_convolutional);
      }
    }
    return targets;
  }

 protected:
  void read(Component part) override {
    switch (part) {
      case Component::text_encoders: {
        text_ = std::make_unique<ClipText>(config_.text,
                                           *make_text_encoder_reader(part_of(checkpoint_, text_map()), request_));
        text_->set_gradient_checkpointing(request_.gradient_checkpointing);
        break;
      }
      case Component::vae: {
        const auto source = vae_file_ ? vae_file_ : part_of(checkpoint_, vae_map());
        const auto reader = make_checkpoint_reader(source, request_.vae_dtype, request_.device);
        vae_ = std::make_unique<AutoencoderKL>(config_.vae, *reader);
        break;
      }
      case Component::denoiser:
        unet_ = load_denoiser<UNet>(config_.unet, part_of(checkpoint_, unet_map()), request_);
        break;
    }
  }

  void drop(Component part) override {
    if (part == Component::text_encoders && !has_text_encoder(1))
      text_ = std::make_unique<ClipText>(config_.text, *nn::make_shape_reader());
    if (part == Component::vae) vae_.reset();
    if (part == Component::denoiser) unet_.reset();
  }

 private:
  FamilyInfo make_info() const {
    const bool is_v = request_.prediction == PredictionType::velocity;
    FamilyInfo info;
    info.name = config_.is_v2 ? "Stable Diffusion 2.x" : "Stable Diffusion 1.x";
    info.base_model_version = std::string(config_.is_v2 ? "sd_v2" : "sd_v1") + (is_v ? "_v" : "");
    info.modelspec_architecture = !config_.is_v2 ? "stable-diffusion-v1"
                                  : is_v         ? "stable-diffusion-v2-768-v"
                                                 : "stable-diffusion-v2-512";
    info.modelspec_implementation = "diffusers";
    info.default_resolution_px = config_.is_v2 && is_v ? 768 : 512;
    info.latent_scale = 0.18215;
    info.latent_channels = config_.vae.latent_channels;
    info.pixels_per_latent = config_.vae.downscale();
    info.modelspec_prediction_type = is_v ? "v" : "epsilon";
    info.latent_files = {
        .suffix = "_sd.npz", .num_channels = info.latent_channels, .pixels_per_latent = info.pixels_per_latent};
    return info;
  }

  NameMap unet_map() const {
    if (config_.is_diffusers) return same_names("unet.");
    UNetLayout layout;
    layout.level_has_attention.clear();
    for (const int64_t depth : config_.unet.transformer_depth) layout.level_has_attention.push_back(depth > 0);
    layout.layers_per_block = static_cast<int>(config_.unet.num_resnets_per_block);
    layout.has_matrix_projections = config_.has_matrix_projections;
    return sd_unet_name_map(layout);
  }

  NameMap vae_map() const {
    if (config_.is_diffusers) return diffusers_vae_name_map("vae.");
    return sd_vae_name_map(static_cast<int>(config_.vae.block_channels.size()));
  }

  NameMap text_map() const {
    if (config_.is_diffusers) return clip_l_name_map("text_encoder.");
    return config_.is_v2 ? open_clip_name_map(static_cast<int>(config_.text.num_layers)) : clip_l_name_map();
  }

  const ClipTokenizer& builtin_tokenizer() const {
    if (!config_.is_v2) return ClipTokenizer::builtin();
    return request_.reference_quirks ? ClipTokenizer::builtin_sd2_quirk() : ClipTokenizer::builtin_sd2();
  }

  // ids: [B, n, 77] → states of the layer that conditions, final norm applied: [B, n, 77, d].
  at::Tensor text_states(const at::Tensor& ids) const {
    check_vocabulary(ids, config_.text, checkpoint_->path());
    const auto output = text_->forward(ids.view({-1, ids.size(2)}).to(request_.device));
    const size_t last = output.hidden_states.size() - 1;
    const size_t skip = static_cast<size_t>(request_.clip_skip.value_or(1)) - 1;
    const at::Tensor states = text_->final_layer_norm(output.hidden_states[last - skip]);
    return states.view({ids.size(0), ids.size(1), ids.size(2), states.size(2)});
  }

  at::Tensor encode_captions(const std::vector<std::string>& captions) const {
    const auto prompts =
        tokenize_captions(*tokenizer_, captions, request_.max_token_length, request_.weighted_captions);
    at::Tensor states = join_rows(text_states(stack_ids(prompts)));
    if (request_.weighted_captions) {
      const at::Tensor weights = join_rows(stack_weights(prompts).unsqueeze(-1)).to(states.device());
      states = states * weights.to(states.scalar_type());
    }
    return states;
  }

  // Prompts for pictures: all get the number of rows that the longest needs; weights act around the mean.
  at::Tensor encode_sample_prompts(const std::vector<std::string>& texts) const {
    DT_CHECK(!texts.empty() && texts.size() <= 2, "a prompt and perhaps a negative one");
    const auto negative = texts.size() > 1 ? std::optional<std::string_view>(texts[1]) : std::nullopt;
    auto tokens = tokenize_sample_prompt(*tokenizer_, texts[0], negative, tokenizer_->pad_id());
    std::vector<PromptTokens> prompts = {std::move(tokens.prompt)};
    if (tokens.negative) prompts.push_back(std::move(*tokens.negative));
    const at::Tensor states = text_states(stack_ids(prompts)).flatten(1, 2);  // [B, 77 n, d]
    const at::Tensor weights = stack_weights(prompts).flatten(1, 2).unsqueeze(-1).to(states.device(), at::kFloat);
    const at::Tensor plain = states.to(at::kFloat), weighted = plain * weights;
    // The final norm of an untrained encoder leaves a mean of zero: equal means must not become 0 / 0.
    const at::Tensor mean = plain.mean({1, 2}, true), weighted_mean = weighted.mean({1, 2}, true);
    const at::Tensor ratio = at::where(mean == weighted_mean, 1.0, mean / weighted_mean);
    return (weighted * ratio).to(states.scalar_type());
  }

  std::shared_ptr<const TensorSource> checkpoint_, vae_file_;
  ModelRequest request_;
  SdConfig config_;
  std::shared_ptr<const ClipTokenizer> tokenizer_;
  std::unique_ptr<ClipText> text_;
  std::unique_ptr<AutoencoderKL> vae_;
  std::unique_ptr<UNet> unet_;
};

}  // namespace

bool is_sd2(const TensorSource& s) {
  if (s.contains("cond_stage_model.model.transformer.resblocks.0.mlp.c_fc.weight")) return true;
  const std::string to_k = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight";
  return s.contains(to_k) && s.info(to_k).shape.at(1) == 1024;
}

bool is_sd1(const TensorSource& s) {
  return !is_sd2(s) &&
         (s.contains("model.diffusion_model.input_blocks.0.0.weight") || s.contains("unet.conv_in.weight"));
}

std::unique_ptr<ModelFamily> make_sd_family(std::shared_ptr<const TensorSource> checkpoint,
                                            const ModelRequest& request) {
  const bool v2 = is_sd2(*checkpoint);
  return std::make_unique<SdFamily>(std::move(checkpoint), request, v2);
}

}  // namespace difftune
