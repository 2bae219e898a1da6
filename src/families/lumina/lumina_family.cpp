#include "families/lumina/lumina_family.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/rsub.h>

#include "base/error.h"
#include "diffusion/flow_sampler.h"
#include "families/autoencoder_part.h"
#include "families/load_denoiser.h"
#include "families/lumina/lumina_targets.h"
#include "families/text/lumina_text.h"
#include "families/text/text_encoder_reader.h"
#include "nn/parameter_scope.h"
#include "weights/fingerprint.h"
#include "weights/open_weights.h"

namespace difftune {
namespace {

constexpr double kSamplingShift = 6.0;
constexpr int kDefaultLength = 256;

class LuminaFamily : public ModelFamily {
 public:
  LuminaFamily(std::shared_ptr<const TensorSource> checkpoint, const ModelRequest& request) : request_(request) {
    if (request_.needs(Component::vae)) {
      autoencoder_.emplace(request_.autoencoder.value_or(request_.checkpoint), "--ae", kFluxLatents,
                           /*clamps_log_variance=*/false);
    }
    const std::string prefix = lumina_prefix(*checkpoint);
    config_ = read_lumina_config(*checkpoint, prefix);
    // norm_final is in the file and not used.
    transformer_file_ = NameMap(prefix).ignore("norm_final.weight").rule("*", "*").to_model(checkpoint);
    if (request_.needs(Component::text_encoders)) open_gemma(checkpoint);
    info_ = make_info();
  }

  Conditioning encode_text(const TextBatch& batch) const override {
    DT_CHECK(is_loaded(Component::text_encoders), "the text encoder is loaded");
    const bool has_negative = batch.use == TextBatch::Use::sample_prompt || batch.use == TextBatch::Use::picture_prompt;
    std::vector<std::string> prompts;
    for (size_t i = 0; i < batch.texts.size(); ++i) {
      const bool is_negative = has_negative && i == 1;
      const bool is_bare = is_negative && !request_.system_prompt_on_negatives;
      prompts.push_back(is_bare ? batch.texts[i] : lumina_prompt(request_.system_prompt, batch.texts[i]));
    }
    const auto tokens = tokenize_lumina_text(*tokenizer_, prompts, length());
    return encode_lumina_text(*gemma_, tokens, request_.device);
  }

  at::Tensor encode_latents(const at::Tensor& images) const override { return autoencoder_.value().encode(images); }
  at::Tensor decode_latents(const at::Tensor& latents) const override { return autoencoder_.value().decode(latents); }

  // The model counts time from noise to data, and so does its velocity point.
  at::Tensor denoise(const DenoiseInput& input) const override {
    DT_CHECK(nextdit_, "the transformer is loaded");
    return nextdit_->forward({input.latents, at::rsub(input.timesteps / 1000, 1), input.conditioning.at("hidden_state"),
                              input.conditioning.at("attention_mask")});
  }

  std::unique_ptr<Objective> make_objective(const ObjectiveSettings& settings, at::Device) const override {
    FlowObjectiveConfig config = settings.flow;
    config.direction = FlowDirection::to_data;
    config.timesteps.smallest_sigma = 1e-7;
    return std::make_unique<FlowObjective>(config);
  }

  std::unique_ptr<Sampler> make_sampler(const SamplerSettings& settings) const override {
    const int64_t steps = settings.sampler.num_steps;
    const double shift = settings.flow_shift.value_or(kSamplingShift);
    // The reference's schedule is that of SD3, with the shift in its smallest sigma as well.
    return make_flow_euler_sampler(request_.reference_quirks ? sd3_sigmas(steps, shift) : lumina_sigmas(steps, shift),
                                   FlowDirection::to_data);
  }

  std::vector<AdapterTarget> adapter_targets() const override {
    std::vector<AdapterTarget> targets;
    if (gemma_) add_gemma_targets(*gemma_, 1, targets);
    if (nextdit_) add_lumina_targets(*nextdit_, targets);
    return targets;
  }

 protected:
  void read(Component part) override {
    switch (part) {
      case Component::text_encoders:
        gemma_ = std::make_unique<Gemma2>(
            gemma_part_.config, *make_text_encoder_reader(gemma_part_.tensors, request_, request_.gemma_form));
        gemma_->set_gradient_checkpointing(request_.gradient_checkpointing);
        break;
      case Component::vae:
        autoencoder_.value().load(request_.vae_dtype, request_.device);
        break;
      case Component::denoiser:
        nextdit_ = load_denoiser<NextDiT>(config_, transformer_file_, request_);
        break;
    }
  }

  void drop(Component part) override {
    switch (part) {
      case Component::text_encoders:
        if (!has_text_encoder(1)) gemma_ = std::make_unique<Gemma2>(gemma_part_.config, *nn::make_shape_reader());
        break;
      case Component::vae:
        autoencoder_.value().unload();
        break;
      case Component::denoiser:
        nextdit_.reset();
        break;
    }
  }

 private:
  void open_gemma(const std::shared_ptr<const TensorSource>& checkpoint) {
    std::optional<Gemma2Part> part;
    if (request_.gemma2) {
      if (!fs::exists(*request_.gemma2)) fail("--gemma2 {}: there is no such file", request_.gemma2->string());
      part = find_gemma2(open_weights(*request_.gemma2));
      if (!part) fail("--gemma2 {}: holds no Gemma 2 (no layers… keys)", request_.gemma2->string());
    } else {
      part = find_gemma2(checkpoint);
      if (!part) throw UsageError("--gemma2 is missing: the checkpoint does not hold this text encoder");
    }
    gemma_part_ = std::move(*part);
    if (gemma_part_.config.hidden_size != config_.caption_size) {
      fail("--gemma2: its states have {} values, the transformer takes {}", gemma_part_.config.hidden_size,
           config_.caption_size);
    }
    tokenizer_ = load_gemma_tokenizer(request_.tokenizer_folder);
  }

  FamilyInfo make_info() const {
    FamilyInfo info;
    info.name = "Lumina-Image 2.0";
    info.base_model_version = "lumina2";
    info.modelspec_architecture = "lumina-2";
    info.modelspec_implementation = "https://github.com/Alpha-VLLM/Lumina-Image-2.0";
    info.modelspec_prediction_type = "epsilon";
    info.default_resolution_px = 1024;
    info.bucket_step_px = 64;
    info.latent_channels = config_.in_channels;
    if (autoencoder_) {
      info.pixels_per_latent = autoencoder_->pixels_per_latent();
      info.latent_files = autoencoder_->cache_files("_lumina.npz");
    }
    info.text_files = {
        .suffix = "_lumina_te.npz", .arrays = {"hidden_state", "attention_mask", "input_ids"}, .flags = {}};
    if (gemma_part_.tensors) {
      info.text_encoder_id =
          fmt::format("{} {} {}", fingerprint(*gemma_part_.tensors), length(), request_.system_prompt);
    }
    info.text_rates = {{"textencoder ", {1}}};
    info.lora = lumina_lora_arguments(request_.reference_quirks);
    info.pictures = picture_traits(info.pixels_per_latent);
    return info;
  }

  PictureTraits picture_traits(int64_t pixels_per_latent) const {
    PictureTraits traits;
    traits.side_px = 1024;
    traits.side_step_px = config_.patch_size * pixels_per_latent;
    traits.num_steps = 36;
    traits.scale = 3.5;
    traits.scales_below_one = true;
    traits.has_samplers = false;
    traits.limits = GuidanceLimits();
    if (request_.reference_quirks) {
      traits.sample_shift = kFluxLatents.shift;
      traits.sample_scale = kFluxLatents.scale;
    }
    return traits;
  }

  int length() const { return request_.gemma_length.value_or(kDefaultLength); }

  ModelRequest request_;
  std::optional<AutoencoderPart> autoencoder_;  // where pictures are encoded or made
  NextDiTConfig config_;
  Gemma2Part gemma_part_;
  std::shared_ptr<const TensorSource> transformer_file_;
  std::shared_ptr<const GemmaTokenizer> tokenizer_;
  std::unique_ptr<Gemma2> gemma_;
  std::unique_ptr<NextDiT> nextdit_;
};

}  // namespace

std::unique_ptr<ModelFamily> make_lumina_family(std::shared_ptr<const TensorSource> checkpoint,
                                                const ModelRequest& request) {
  return std::make_unique<LuminaFamily>(std::move(checkpoint), request);
}

}  // namespace difftune
