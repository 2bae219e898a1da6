#include "commands/sd3_minimal_inference.h"

#include <array>

#include "base/error.h"
#include "base/optional_path.h"
#include "commands/minimal_inference.h"
#include "commands/run_tool.h"
#include "nn/device.h"
#include "nn/float_type.h"
#include "options/inference/sd3_minimal_inference_options.h"

namespace difftune {
namespace {

using Options = Sd3MinimalInferenceOptions;

constexpr std::array kFlags = {DialogueFlag{"w", "width"},           DialogueFlag{"h", "height"},
                               DialogueFlag{"s", "sample_steps"},    DialogueFlag{"d", "seed"},
                               DialogueFlag{"n", "negative_prompt"}, DialogueFlag{"c", "scale"}};

CommandPage page() {
  return {
      .name = "sd3_minimal_inference",
      .summary = std::string(kSd3MinimalInferenceSummary),
      .example =
          "difftune sd3_minimal_inference --ckpt_path sd3.5_medium.safetensors --clip_l clip_l.safetensors --clip_g "
          "clip_g.safetensors --t5xxl t5xxl_fp16.safetensors --bf16 --prompt \"a cat in the snow\" --output_dir "
          "pictures"};
}

ModelRequest request_of(const Options& options) {
  if (options.fp16 && options.bf16) throw UsageError("--fp16 and --bf16 exclude each other");
  ModelRequest request;
  request.device = nn::training_device();
  request.checkpoint = options.ckpt_path;
  request.clip_l = optional_path(options.clip_l);
  request.clip_g = optional_path(options.clip_g);
  request.t5xxl = optional_path(options.t5xxl);
  request.vae = optional_path(options.vae);
  request.t5_length = static_cast<int>(options.t5xxl_token_length);
  request.masks_clip = options.apply_lg_attn_mask;
  request.masks_t5 = options.apply_t5_attn_mask;
  if (options.bf16) request.dtype = c10::kBFloat16;
  if (options.fp16) request.dtype = nn::parse_float_type("--fp16:", "float16", request.device);
  request.vae_dtype = request.dtype;
  request.tokenizer_folder = optional_path(options.picture.tokenizer_cache_dir);
  request.reference_quirks = options.picture.reference_quirks;
  return request;
}

int work(Options& options) {
  InferenceJob job{.options = options.picture};
  job.request = request_of(options);
  job.command = "sd3_minimal_inference";
  if (options.picture.reference_quirks) job.how.noise_dtype = job.request.dtype;
  job.set_prompt = [&](SamplePrompt& prompt, const PictureTraits&) {
    prompt.negative_prompt = options.negative_prompt;
    prompt.width_px = options.width;
    prompt.height_px = options.height;
    prompt.num_steps = options.steps;
    prompt.scale = options.cfg_scale;
    prompt.seed = static_cast<uint64_t>(options.seed);
  };
  job.ask = [](const SamplePrompt& start, const PictureTraits& traits) {
    return ask_for_prompt(start, kFlags, traits);
  };
  return run_inference(job);
}

}  // namespace

int run_sd3_minimal_inference(std::span<const std::string> words) {
  return run_with_options<Options>(page(), words, work);
}
std::string sd3_minimal_inference_page() { return tool_page<Options>(page()); }

}  // namespace difftune
