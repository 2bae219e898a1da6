#include "commands/flux_minimal_inference.h"

#include <array>

#include "base/error.h"
#include "base/optional_path.h"
#include "commands/minimal_inference.h"
#include "commands/run_tool.h"
#include "families/text/text_encoder_reader.h"
#include "nn/device.h"
#include "nn/float_type.h"
#include "options/groups/transformer.h"
#include "options/inference/flux_minimal_inference_options.h"

namespace difftune {
namespace {

using Options = FluxMinimalInferenceOptions;

constexpr std::array kFlags = {DialogueFlag{"w", "width"},          DialogueFlag{"h", "height"},
                               DialogueFlag{"s", "sample_steps"},   DialogueFlag{"d", "seed"},
                               DialogueFlag{"g", "guidance_scale"}, DialogueFlag{"n", "negative_prompt"},
                               DialogueFlag{"c", "scale"}};

CommandPage page() {
  return {.name = "flux_minimal_inference",
          .summary = std::string(kFluxMinimalInferenceSummary),
          .example =
              "difftune flux_minimal_inference --ckpt_path flux1-dev.safetensors --clip_l clip_l.safetensors --t5xxl "
              "t5xxl_fp16.safetensors --ae ae.safetensors --prompt \"a cat in the snow\" --lora_weights "
              "\"my_lora.safetensors;0.8\" --output_dir pictures"};
}

ModelRequest request_of(const Options& options) {
  ModelRequest request;
  request.device = nn::training_device();
  const auto form = [&](const char* option, const std::optional<std::string>& name) {
    return parse_weight_form(name ? option : "--dtype", name.value_or(options.dtype), request.device);
  };
  request.checkpoint = options.ckpt_path;
  if (options.clip_l && options.model_type != "chroma") request.clip_l = *options.clip_l;
  request.t5xxl = *options.t5xxl;
  request.autoencoder = *options.ae;
  request.masks_t5 = options.apply_t5_attn_mask;
  const WeightForm transformer = form("--flux_dtype", options.flux_dtype);
  request.has_fp8_denoiser = transformer.is_fp8;
  request.dtype = transformer.dtype;
  request.clip_form = form("--clip_l_dtype", options.clip_l_dtype);
  request.t5_form = form("--t5xxl_dtype", options.t5xxl_dtype);
  request.vae_dtype = nn::parse_float_type(options.ae_dtype ? "--ae_dtype" : "--dtype",
                                           options.ae_dtype.value_or(options.dtype), request.device);
  request.tokenizer_folder = optional_path(options.picture.tokenizer_cache_dir);
  request.reference_quirks = options.picture.reference_quirks;
  return request;
}

void set_prompt(const Options& options, SamplePrompt& prompt, const PictureTraits& traits) {
  prompt.negative_prompt = options.negative_prompt.value_or("");
  prompt.width_px = options.width;
  prompt.height_px = options.height;
  prompt.num_steps = options.steps.value_or(traits.full_num_steps);
  if (options.seed) prompt.seed = static_cast<uint64_t>(*options.seed);
  // The option's default stands for the family's value.
  const bool is_default = options.guidance == Options().guidance;
  if (traits.guidance && !is_default) prompt.guidance = options.guidance;
  // The reference takes an empty negative prompt for no guidance.
  const bool is_guided = !options.picture.reference_quirks || !prompt.negative_prompt.empty();
  prompt.scale = is_guided ? options.cfg_scale.value() : 1.0;
}

int work(Options& options) {
  TransformerOptions parts{.clip_l = options.clip_l, .t5xxl = options.t5xxl, .ae = options.ae};
  parts.model_type = options.model_type;
  parts.apply_t5_attn_mask = options.apply_t5_attn_mask;
  require_flux_parts(parts);
  InferenceJob job{.options = options.picture};
  job.request = request_of(options);
  job.command =
      options.model_type == "chroma" ? "flux_minimal_inference --model_type chroma" : "flux_minimal_inference";
  if (options.picture.reference_quirks) {
    const WeightForm base = parse_weight_form("--dtype", options.dtype, job.request.device);
    job.how.noise_dtype = base.is_fp8 ? c10::kFloat : base.dtype;
  }
  job.set_prompt = [&](SamplePrompt& prompt, const PictureTraits& traits) { set_prompt(options, prompt, traits); };
  job.ask = [](const SamplePrompt& start, const PictureTraits& traits) {
    return ask_for_prompt(start, kFlags, traits);
  };
  return run_inference(job);
}

}  // namespace

int run_flux_minimal_inference(std::span<const std::string> words) {
  return run_with_options<Options>(page(), words, work);
}
std::string flux_minimal_inference_page() { return tool_page<Options>(page()); }

}  // namespace difftune
