#include "commands/sdxl_minimal_inference.h"

#include <ATen/core/grad_mode.h>
#include <fmt/core.h>

#include <charconv>
#include <ctime>
#include <iostream>
#include <random>

#include "adapters/lora.h"
#include "base/error.h"
#include "base/log.h"
#include "base/progress.h"
#include "commands/run_tool.h"
#include "families/family_table.h"
#include "generate/sample_files.h"
#include "generate/text_to_image.h"
#include "image/write_image.h"
#include "nn/device.h"
#include "nn/pooled_allocator.h"
#include "options/sdxl_minimal_inference_options.h"
#include "weights/open_weights.h"

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

struct WeightedFile {
  fs::path path;
  double multiplier = 1;
};

WeightedFile parse_lora(const std::string& text) {
  const size_t semicolon = text.rfind(';');
  WeightedFile file{text.substr(0, semicolon), 1};
  if (semicolon != std::string::npos) {
    const char *begin = text.data() + semicolon + 1, *end = text.data() + text.size();
    const auto parsed = std::from_chars(begin, end, file.multiplier);
    if (parsed.ec != std::errc() || parsed.ptr != end) {
      throw UsageError(fmt::format("--lora_weights {}: expected a number behind the semicolon", text));
    }
  }
  return file;
}

ModelRequest request_of(const Options& options) {
  ModelRequest request;
  request.checkpoint = options.ckpt_path;
  if (options.tokenizer_cache_dir) request.tokenizer_folder = *options.tokenizer_cache_dir;
  request.device = nn::training_device();
  // As in the reference half precision on a GPU, but for the VAE.
  request.dtype = request.device.is_cpu() ? c10::kFloat : c10::kHalf;
  return request;
}

// The first name of this second that is free.
fs::path picture_path(const fs::path& folder) {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  localtime_r(&now, &parts);
  char time[32];
  const size_t length = std::strftime(time, sizeof(time), "%Y%m%d-%H%M%S", &parts);
  for (int i = 0;; ++i) {
    fs::path path = folder / fmt::format("image_{}_{:03}.png", std::string_view(time, length), i);
    if (!fs::exists(path)) return path;
  }
}

void make_picture(const ModelFamily& family, const Options& options, SamplePrompt prompt, const std::string& prompt2) {
  if (!prompt.seed) {
    prompt.seed = std::random_device()();
    log::info("seed {}", *prompt.seed);
  }
  TextBatch batch{.texts = {prompt.prompt}, .use = TextBatch::Use::training_caption, .second_texts = {prompt2}};
  if (prompt.scale > 1) {
    batch.texts.push_back(prompt.negative_prompt);
    batch.second_texts.push_back(prompt.negative_prompt);
  }
  const at::NoGradGuard no_gradients;
  const Conditioning text = family.encode_text(batch);
  Progress progress("picture", prompt.num_steps);
  GenerateOptions how;
  how.on_call = [&](int64_t, int64_t) { progress.advance(); };
  const Image image = generate_image(family, prompt, how, &text);
  const fs::path path = picture_path(options.output_dir);
  write_png(path, image, {{"parameters", sample_parameters(prompt, "euler")}});
  log::info("{}", path.string());
}

// The answer to a question on the terminal; empty at the end of the input too.
std::string ask(const char* question) {
  fmt::print("{}: ", question);
  std::fflush(stdout);
  std::string answer;
  std::getline(std::cin, answer);
  return answer;
}

uint64_t parse_seed(const std::string& text) {
  uint64_t seed = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), seed);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) {
    throw UsageError(fmt::format("seed {}: expected a whole number", text));
  }
  return seed;
}

void make_pictures_asked_for(const ModelFamily& family, const Options& options, SamplePrompt prompt) {
  while (true) {
    prompt.prompt = ask("prompt");
    if (prompt.prompt.empty()) return;
    const std::string prompt2 = ask("prompt2");
    prompt.negative_prompt = ask("negative prompt");
    const std::string seed = ask("seed");
    try {
      prompt.seed = seed.empty() ? std::nullopt : std::optional(parse_seed(seed));
      make_picture(family, options, prompt, prompt2.empty() ? prompt.prompt : prompt2);
    } catch (const UserError& error) {
      log::error("{}", error.what());  // the next prompt may do
    }
  }
}

int work(Options& options) {
  nn::use_pooled_memory();
  if (options.width % 8 != 0 || options.height % 8 != 0) {
    throw UsageError(fmt::format("--width {} and --height {}: expected multiples of 8", options.width, options.height));
  }
  require_writable_folder(options.output_dir, "--output_dir");
  std::vector<WeightedFile> loras;
  for (const auto& text : options.lora_weights) loras.push_back(parse_lora(text));
  const auto family = open_model(request_of(options), "sdxl_minimal_inference", false, "--ckpt_path");
  for (const auto& lora : loras) lora_dims(*open_weights(lora.path));  // what is wrong with one shows before loading

  for (const Component part : {Component::text_encoders, Component::denoiser, Component::vae}) family->load(part);
  for (const auto& lora : loras) {
    const auto merged = merge_lora_into(*open_weights(lora.path), family->adapter_targets(), lora.multiplier);
    log::info("{}: {} modules merged with multiplier {}", lora.path.string(), merged, lora.multiplier);
  }
  SamplePrompt prompt;
  prompt.prompt = options.prompt;
  prompt.negative_prompt = options.negative_prompt;
  prompt.width_px = options.width;
  prompt.height_px = options.height;
  prompt.num_steps = options.steps;
  prompt.scale = options.guidance_scale;
  prompt.sampler = "euler";
  if (options.seed) prompt.seed = static_cast<uint64_t>(*options.seed);
  if (options.interactive) {
    make_pictures_asked_for(*family, options, prompt);
  } else {
    make_picture(*family, options, prompt, options.prompt2.value_or(options.prompt));
  }
  return 0;
}

}  // namespace

int run_sdxl_minimal_inference(std::span<const std::string> words) { return run_tool<Options>(page(), words, work); }
std::string sdxl_minimal_inference_page() { return tool_page<Options>(page()); }

}  // namespace difftune
