#include "families/sd3/sd3_family.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/rand.h>

#include "base/error.h"
#include "diffusion/flow_sampler.h"
#include "families/autoencoder_part.h"
#include "families/checkpoint_shapes.h"
#include "families/load_denoiser.h"
#include "families/sd/sd_config.h"
#include "families/sd/sd_name_map.h"
#include "families/sd3/sd3_targets.h"
#include "families/target_names.h"
#include "families/text/sd3_text.h"
#include "families/text/text_encoder_reader.h"
#include "nn/parameter_scope.h"
#include "nn/random_state.h"
#include "weights/fingerprint.h"
#include "weights/open_weights.h"

namespace difftune {
namespace {

// The shift of the timesteps that pictures are made with.
constexpr double kSamplingShift = 3.0;

class Sd3Family : public ModelFamily {
 public:
  Sd3Family(std::shared_ptr<const TensorSource> checkpoint, const ModelRequest& request)
      : checkpoint_(std::move(checkpoint)), request_(request) {
    if (request_.needs(Component::vae)) {
      autoencoder_.emplace(request_.vae.value_or(request_.checkpoint), "--vae", LatentRange(),
                           /*clamps_log_variance=*/true);
    }
    const std::string prefix = sd3_prefix(*checkpoint_);
    config_ = read_sd3_config(*checkpoint_, prefix);
    config_.exchanges_self_attention_heads = request_.reference_quirks;
    transformer_file_ = NameMap(prefix).rule("*", "*").to_model(checkpoint_);
    if (request_.needs(Component::text_encoders)) open_text_encoders();
    info_ = make_info();
  }

  Conditioning encode_text(const TextBatch& batch) const override {
    DT_CHECK(is_loaded(Component::text_encoders), "the text encoders are loaded");
    const auto tokens =
        tokenize_sd3_text(*clip_l_tokenizer_, *clip_g_tokenizer_, *t5_tokenizer_, batch.texts, t5_length());
    // The reference hides padding only in outputs that it caches.
    const bool may_mask = !request_.reference_quirks || batch.use != TextBatch::Use::training_caption;
    Conditioning text;
    if (has_text_encoder(1) || has_text_encoder(2)) {
      text = encode_sd3_clip_text(*clip_l_, *clip_g_, tokens, may_mask && request_.masks_clip, request_.device);
    }
    if (has_text_encoder(3)) {
      text.merge(encode_sd3_t5_text(*t5_, tokens, may_mask && request_.masks_t5, request_.device));
    }
    return text;
  }

  at::Tensor encode_latents(const at::Tensor& images) const override { return autoencoder_.value().encode(images); }
  at::Tensor decode_latents(const at::Tensor& latents) const override { return autoencoder_.value().decode(latents); }

  at::Tensor denoise(const DenoiseInput& input) const override {
    DT_CHECK(mmdit_, "the transformer is loaded");
    MMDiT::Input to_model{
        input.latents, input.timesteps,
        sd3_context(input.conditioning.at("lg_out"), input.conditioning.at("t5_out"), config_.context_size),
        input.conditioning.at("lg_pooled")};
    if (request_.position_crop_rate > 0 && at::rand({1}).item<float>() < request_.position_crop_rate) {
      to_model.place = nn::default_generator(c10::kCPU);
    }
    return mmdit_->forward(to_model);
  }

  std::unique_ptr<Objective> make_objective(const ObjectiveSettings& settings, at::Device) const override {
    FlowObjectiveConfig config = settings.flow;
    config.timesteps.sampling = TimestepSampling::sd3;
    config.prediction = FlowPrediction::sigma_scaled;
    config.scales_against_data = true;
    return std::make_unique<FlowObjective>(config);
  }

  std::unique_ptr<Sampler> make_sampler(const SamplerSettings& settings) const override {
    return make_flow_euler_sampler(sd3_sigmas(settings.sampler.num_steps, kSamplingShift));
  }

  std::vector<AdapterTarget> adapter_targets() const override {
    std::vector<AdapterTarget> targets;
    if (clip_l_) add_clip_targets(*clip_l_, 1, targets);
    if (clip_g_) add_clip_targets(*clip_g_, 2, targets);
    if (t5_) add_t5_targets(*t5_, 3, targets);
    if (mmdit_) add_sd3_targets(*mmdit_, targets);
    return targets;
  }

 protected:
  void read(Component part) override {
    switch (part) {
      case Component::text_encoders:
        clip_l_ = std::make_unique<ClipText>(clip_l_config_, *make_text_encoder_reader(clip_l_file_, request_));
        clip_g_ = std::make_unique<ClipText>(clip_g_config_, *make_text_encoder_reader(clip_g_file_, request_));
        t5_ = std::make_unique<T5Encoder>(t5_part_.config, *make_text_encoder_reader(t5_part_.tensors, request_));
        for (ClipText* clip : {clip_l_.get(), clip_g_.get()}) {
          clip->set_gradient_checkpointing(request_.gradient_checkpointing);
        }
        t5_->set_gradient_checkpointing(request_.gradient_checkpointing);
        break;
      case Component::vae:
        autoencoder_.value().load(request_.vae_dtype, request_.device);
        break;
      case Component::denoiser:
        mmdit_ = load_denoiser<MMDiT>(config_, transformer_file_, request_);
        if (!request_.scaled_position_sizes_px.empty()) mmdit_->set_scaled_positions(scaled_positions());
        break;
    }
  }

  void drop(Component part) override {
    switch (part) {
      case Component::text_encoders:
        // What the two CLIP encoders say is one tensor: both stay or go.
        if (!has_text_encoder(1) && !has_text_encoder(2)) {
          clip_l_ = std::make_unique<ClipText>(clip_l_config_, *nn::make_shape_reader());
          clip_g_ = std::make_unique<ClipText>(clip_g_config_, *nn::make_shape_reader());
        }
        if (!has_text_encoder(3)) t5_ = std::make_unique<T5Encoder>(t5_part_.config, *nn::make_shape_reader());
        break;
      case Component::vae:
        autoencoder_.value().unload();
        break;
      case Component::denoiser:
        mmdit_.reset();
        break;
    }
  }

 private:
  void open_text_encoders() {
    clip_l_file_ = open_clip("clip_l", request_.clip_l);
    clip_g_file_ = open_clip("clip_g", request_.clip_g);
    clip_l_config_ = read_clip(*clip_l_file_);
    clip_g_config_ = read_clip(*clip_g_file_);
    clip_g_config_.uses_quick_gelu = false;
    clip_l_tokenizer_ = load_clip_tokenizer(kClipLId, request_.tokenizer_folder);
    clip_g_tokenizer_ = load_clip_tokenizer(kClipGId, request_.tokenizer_folder);
    open_t5();
  }

  // CLIP in a file of its own, or in the checkpoint.
  std::shared_ptr<const TensorSource> open_clip(const std::string& name, const std::optional<fs::path>& path) const {
    if (path) {
      if (!fs::exists(*path)) fail("--{} {}: there is no such file", name, path->string());
      return clip_l_name_map("").to_model(open_weights(*path));
    }
    const std::string prefix = "text_encoders." + name + ".transformer.";
    if (!has_prefix(*checkpoint_, prefix)) {
      throw UsageError(fmt::format("--{} is missing: the checkpoint does not hold this text encoder", name));
    }
    return clip_l_name_map(prefix).to_model(checkpoint_);
  }

  // Files of CLIP ViT-L come with the projection of their text feature or without.
  static ClipTextConfig read_clip(const TensorSource& file) {
    ClipTextConfig config = read_clip_config(file, "");
    const std::string projection = "text_projection.weight";
    if (file.contains(projection)) config.projection_size = size_of(file, projection, 0);
    return config;
  }

  void open_t5() {
    auto part = find_t5(checkpoint_);
    if (!part) {
      if (!request_.t5xxl) throw UsageError("--t5xxl is missing: the checkpoint does not hold this text encoder");
      if (!fs::exists(*request_.t5xxl)) fail("--t5xxl {}: there is no such file", request_.t5xxl->string());
      part = find_t5(open_weights(*request_.t5xxl));
      if (!part) fail("--t5xxl {}: holds no T5 encoder (no encoder.block… keys)", request_.t5xxl->string());
    }
    t5_part_ = std::move(*part);
    t5_tokenizer_ = load_t5_tokenizer(request_.tokenizer_folder);
  }

  ScaledPositions scaled_positions() const {
    std::vector<int64_t> patches;
    for (const int64_t side_px : request_.scaled_position_sizes_px) {
      patches.push_back(side_px / info_.pixels_per_latent / config_.patch_size);
    }
    return ScaledPositions(std::move(patches), config_.hidden_size);
  }

  // What is dropped of a caption: the states of an encoder, its feature and its mask.
  std::vector<TextDropout> dropouts() const {
    const int64_t states = clip_l_config_.hidden_size;
    const int64_t pooled = clip_l_config_.projection_size > 0 ? clip_l_config_.projection_size : states;
    return {{.rate = request_.clip_l_dropout,
             .encoder = 1,
             .parts = {{"lg_out", 0, states}, {"lg_pooled", 0, pooled}, {"clip_l_attn_mask"}}},
            {.rate = request_.clip_g_dropout,
             .encoder = 2,
             .parts = {{"lg_out", states}, {"lg_pooled", pooled}, {"clip_g_attn_mask"}}},
            {.rate = request_.t5_dropout, .encoder = 3, .round = 1, .parts = {{"t5_out"}, {"t5_attn_mask"}}}};
  }

  bool has_self_attention() const {
    const auto& blocks = config_.has_self_attention;
    return std::find(blocks.begin(), blocks.end(), true) != blocks.end();
  }

  FamilyInfo make_info() const {
    FamilyInfo info;
    const std::string version = !config_.has_qk_norm ? "medium" : has_self_attention() ? "5-medium" : "5-large";
    info.name = "Stable Diffusion 3 " + version;
    info.base_model_version = version;
    info.modelspec_architecture = "stable-diffusion-3-" + version;
    info.modelspec_implementation = "diffusers";
    info.modelspec_prediction_type = "epsilon";
    info.default_resolution_px = 1024;
    info.bucket_step_px = 32;
    info.latent_shift = 0.0609;
    info.latent_scale = 1.5305;
    info.latent_channels = config_.in_channels;
    if (autoencoder_) {
      info.pixels_per_latent = autoencoder_->pixels_per_latent();
      info.latent_files = autoencoder_->cache_files("_sd3.npz");
    }
    info.text_files = {
        .suffix = "_sd3_te.npz",
        .arrays = {"lg_out", "lg_pooled", "t5_out", "clip_l_attn_mask", "clip_g_attn_mask", "t5_attn_mask"},
        .flags = {{"apply_lg_attn_mask", request_.masks_clip}, {"apply_t5_attn_mask", request_.masks_t5}}};
    if (t5_part_.tensors) {
      info.text_encoder_id = fmt::format("{} {} {} {}", fingerprint(*clip_l_file_), fingerprint(*clip_g_file_),
                                         fingerprint(*t5_part_.tensors), t5_length());
    }
    // CLIP-G's rate is logged under the name of the first in the reference.
    info.text_rates = {{"textencoder 1 ", {1}},
                       {request_.reference_quirks ? "textencoder 1 " : "textencoder 2 ", {2}},
                       {"textencoder 3 ", {3}}};
    info.text_dropouts = dropouts();
    info.lora = sd3_lora_arguments();
    info.pictures.side_step_px = config_.patch_size * info.pixels_per_latent;
    info.pictures.scales_below_one = true;
    info.pictures.has_samplers = false;
    return info;
  }

  int t5_length() const { return request_.t5_length.value_or(256); }

  std::shared_ptr<const TensorSource> checkpoint_, transformer_file_, clip_l_file_, clip_g_file_;
  ModelRequest request_;
  std::optional<AutoencoderPart> autoencoder_;  // where pictures are encoded or made
  MMDiTConfig config_;
  ClipTextConfig clip_l_config_, clip_g_config_;
  T5Part t5_part_;
  std::shared_ptr<const ClipTokenizer> clip_l_tokenizer_, clip_g_tokenizer_;
  std::shared_ptr<const T5Tokenizer> t5_tokenizer_;
  std::unique_ptr<ClipText> clip_l_, clip_g_;
  std::unique_ptr<T5Encoder> t5_;
  std::unique_ptr<MMDiT> mmdit_;
};

}  // namespace

std::unique_ptr<ModelFamily> make_sd3_family(std::shared_ptr<const TensorSource> checkpoint,
                                             const ModelRequest& request) {
  return std::make_unique<Sd3Family>(std::move(checkpoint), request);
}

}  // namespace difftune
