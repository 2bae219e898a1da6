#include "commands/sdxl_minimal_inference.h"

#include <fmt/core.h>

#include <charconv>

#include "base/error.h"
#include "base/optional_path.h"
#include "commands/minimal_inference.h"
#include "commands/run_tool.h"
#include "nn/device.h"
#include "options/inference/sdxl_minimal_inference_options.h"

namespace difftune {
namespace {

using Options = SdxlMinimalInferenceOptions;

CommandPage page() {
  return {.name = "sdxl_minimal_inference",
          .summary = std::string(kSdxlMinimalInferenceSummary),
          .example =
              "difftune sdxl_minimal_inference --ckpt_path sdxl.safetensors --prompt \"a cat in the snow\" "
              "--lora_weights \"my_lora.safetensors;0.8\" --output_dir pictures"};
}

ModelRequest request_of(const Options& options) {
  ModelRequest request;
  request.checkpoint = options.ckpt_path;
  request.vae = optional_path(options.vae);
  request.tokenizer_folder = optional_path(options.picture.tokenizer_cache_dir);
  request.device = nn::training_device();
  // As in the reference half precision on a GPU, but for the VAE.
  request.dtype = request.device.is_cpu() ? c10::kFloat : c10::kHalf;
  return request;
}

uint64_t parse_seed(const std::string& text) {
  uint64_t seed = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), seed);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) {
    fail("seed {}: expected a whole number", text);
  }
  return seed;
}

// Four questions for a picture.
std::optional<TypedPrompt> ask(const SamplePrompt& start, const PictureTraits&) {
  const std::string prompt = ask_line("prompt: ").value_or("");
  if (prompt.empty()) return std::nullopt;
  TypedPrompt typed{start, std::nullopt};
  typed.prompt.prompt = prompt;
  typed.prompt.second_prompt = ask_line("prompt2: ").value_or("");
  if (typed.prompt.second_prompt->empty()) typed.prompt.second_prompt = prompt;
  typed.prompt.negative_prompt = ask_line("negative prompt: ").value_or("");
  const std::string seed = ask_line("seed: ").value_or("");
  if (!seed.empty()) typed.prompt.seed = parse_seed(seed);
  return typed;
}

int work(Options& options) {
  options.picture.merge_lora_weights = true;
  InferenceJob job{.options = options.picture};
  job.request = request_of(options);
  job.command = "sdxl_minimal_inference";
  job.naming = {.time_format = "image_%Y%m%d-%H%M%S", .is_always_numbered = true};
  job.how.sampler = "euler";
  job.set_prompt = [&](SamplePrompt& prompt, const PictureTraits&) {
    prompt.second_prompt = options.prompt2.value_or(options.picture.prompt);
    prompt.negative_prompt = options.negative_prompt;
    prompt.width_px = options.width;
    prompt.height_px = options.height;
    prompt.num_steps = options.steps;
    prompt.scale = options.guidance_scale;
    if (options.seed) prompt.seed = static_cast<uint64_t>(*options.seed);
  };
  job.ask = ask;
  return run_inference(job);
}

}  // namespace

int run_sdxl_minimal_inference(std::span<const std::string> words) {
  return run_with_options<Options>(page(), words, work);
}
std::string sdxl_minimal_inference_page() { return tool_page<Options>(page()); }

}  // namespace difftune
