#include "commands/lumina_minimal_inference.h"

#include <array>

#include "base/error.h"
#include "base/optional_path.h"
#include "commands/minimal_inference.h"
#include "commands/run_tool.h"
#include "families/text/text_encoder_reader.h"
#include "nn/device.h"
#include "nn/float_type.h"
#include "options/inference/lumina_minimal_inference_options.h"

namespace difftune {
namespace {

using Options = LuminaMinimalInferenceOptions;

// --g is the guidance of this command's --guidance_scale.
constexpr std::array kFlags = {DialogueFlag{"w", "width"},
                               DialogueFlag{"h", "height"},
                               DialogueFlag{"s", "sample_steps"},
                               DialogueFlag{"d", "seed"},
                               DialogueFlag{"g", "scale"},
                               DialogueFlag{"n", "negative_prompt"},
                               DialogueFlag{"ctr", "cfg_trunc_ratio"},
                               DialogueFlag{"rcfg", "renorm_cfg"}};

CommandPage page() {
  return {.name = "lumina_minimal_inference",
          .summary = std::string(kLuminaMinimalInferenceSummary),
          .example =
              "difftune lumina_minimal_inference --pretrained_model_name_or_path lumina2.safetensors --gemma2_path "
              "gemma2.safetensors --ae_path ae.safetensors --prompt \"a cat in the snow\" --output_dir pictures"};
}

c10::Device parse_device(const std::optional<std::string>& name) {
  if (!name) return nn::training_device();
  if (*name == "cpu") return c10::kCPU;
  const c10::Device device = nn::training_device();
  if (*name == "cuda" || *name == "cuda:0") {
    if (device.is_cpu()) throw UsageError(fmt::format("--device {}: no GPU is found", *name));
    return device;
  }
  throw UsageError(fmt::format("--device {}: expected cpu, cuda or cuda:0", *name));
}

ModelRequest request_of(const Options& options) {
  ModelRequest request;
  request.device = parse_device(options.device);
  request.checkpoint = options.pretrained_model_name_or_path;
  request.gemma2 = options.gemma2_path;
  request.autoencoder = options.ae_path;
  const WeightForm transformer = parse_weight_form("--dtype", options.dtype, request.device);
  request.dtype = transformer.dtype;
  request.has_fp8_denoiser = transformer.is_fp8;
  request.gemma_form = parse_weight_form("--gemma2_dtype", options.gemma2_dtype, request.device);
  request.vae_dtype = nn::parse_float_type("--ae_dtype", options.ae_dtype, request.device);
  request.gemma_length = static_cast<int>(options.gemma2_max_token_length);
  request.system_prompt = options.system_prompt;
  request.system_prompt_on_negatives = options.add_system_prompt_to_negative_prompt;
  request.tokenizer_folder = optional_path(options.picture.tokenizer_cache_dir);
  request.reference_quirks = options.picture.reference_quirks;
  return request;
}

int work(Options& options) {
  InferenceJob job{.options = options.picture};
  job.request = request_of(options);
  job.command = "lumina_minimal_inference";
  job.checkpoint_option = "--pretrained_model_name_or_path";
  job.width_option = "--image_width";
  job.height_option = "--image_height";
  job.naming = {.time_format = "image_%Y%m%d%H%M%S", .has_seed = true};
  job.how.flow_shift = options.discrete_flow_shift;
  if (options.picture.reference_quirks) job.how.noise_dtype = job.request.dtype;
  job.set_prompt = [&](SamplePrompt& prompt, const PictureTraits&) {
    prompt.negative_prompt = options.negative_prompt;
    prompt.width_px = options.image_width;
    prompt.height_px = options.image_height;
    prompt.num_steps = options.steps;
    prompt.scale = options.guidance_scale;
    prompt.limits = GuidanceLimits{.end = options.cfg_trunc_ratio, .largest_norm = options.renorm_cfg};
    if (options.seed) prompt.seed = static_cast<uint64_t>(*options.seed);
  };
  job.ask = [](const SamplePrompt& start, const PictureTraits& traits) {
    return ask_for_prompt(start, kFlags, traits, "exit");
  };
  return run_inference(job);
}

}  // namespace

int run_lumina_minimal_inference(std::span<const std::string> words) {
  return run_with_options<Options>(page(), words, work);
}
std::string lumina_minimal_inference_page() { return tool_page<Options>(page()); }

}  // namespace difftune
