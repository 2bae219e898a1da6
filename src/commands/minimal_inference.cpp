#include "commands/minimal_inference.h"

#include <fmt/core.h>

#include <charconv>
#include <ctime>
#include <iostream>
#include <random>

#include "adapters/lora.h"
#include "base/error.h"
#include "base/log.h"
#include "base/progress.h"
#include "families/family_table.h"
#include "generate/sample_files.h"
#include "image/write_image.h"
#include "nn/pooled_allocator.h"
#include "weight_tools/stop_signal.h"
#include "weights/open_weights.h"

namespace difftune {
namespace {

PictureLora open_lora(const std::string& text) {
  const size_t semicolon = text.rfind(';');
  PictureLora lora;
  if (semicolon != std::string::npos) {
    const char *begin = text.data() + semicolon + 1, *end = text.data() + text.size();
    const auto parsed = std::from_chars(begin, end, lora.multiplier);
    if (parsed.ec != std::errc() || parsed.ptr != end) {
      throw UsageError(fmt::format("--lora_weights {}: expected a number behind the semicolon", text));
    }
  }
  const fs::path path = text.substr(0, semicolon);
  if (!fs::exists(path)) fail("--lora_weights {}: there is no such file", path.string());
  lora.file = open_weights(path);
  lora_dims(*lora.file);  // what is wrong with it shows before anything is loaded
  return lora;
}

// The first name of this second that is free.
fs::path picture_path(const fs::path& folder, const PictureNaming& naming, uint64_t seed) {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  localtime_r(&now, &parts);
  char time[64];
  std::string name(time, std::strftime(time, sizeof(time), naming.time_format, &parts));
  if (naming.has_seed) name += fmt::format("_{}", seed);
  for (int i = 0;; ++i) {
    const bool is_numbered = naming.is_always_numbered || i > 0;
    fs::path path = folder / (name + (is_numbered ? fmt::format("_{:03}", i) : "") + ".png");
    if (!fs::exists(path)) return path;
  }
}

class Session {
 public:
  explicit Session(InferenceJob& job) : job_(job), maker_(open(job)) {}

  void run() {
    SamplePrompt prompt = default_prompt(traits());
    prompt.prompt = job_.options.prompt;
    job_.set_prompt(prompt, traits());
    require_whole_steps(prompt.width_px, prompt.height_px, traits(), job_.width_option, job_.height_option);
    if (job_.options.interactive) {
      make_those_asked_for(prompt);
    } else {
      make(prompt);
    }
  }

 private:
  static PictureMaker open(const InferenceJob& job) {
    require_writable_folder(job.options.output_dir, "--output_dir");
    std::vector<PictureLora> loras;
    for (const std::string& text : job.options.lora_weights) loras.push_back(open_lora(text));
    auto family = open_model(job.request, job.command, false, job.checkpoint_option);
    const RecognisedModel model = recognise_model(job.request.checkpoint, job.checkpoint_option);
    for (const PictureLora& lora : loras) require_lora_for(*lora.file, model);
    log::info("{} on {}", family->info().name, job.request.device.str());
    const bool keeps_parts = job.options.interactive && !job.options.offload;
    return PictureMaker(std::move(family), std::move(loras),
                        {.merges_loras = job.options.merge_lora_weights, .frees_parts = !keeps_parts, .how = job.how});
  }

  const PictureTraits& traits() const { return maker_.family().info().pictures; }

  void make(SamplePrompt prompt) {
    if (!prompt.seed) {
      prompt.seed = std::random_device()();
      log::info("seed {}", *prompt.seed);
    }
    Progress progress("picture", prompt.num_steps);
    maker_.how().on_call = [&](int64_t, int64_t) {
      progress.advance();
      stop_.check();
    };
    const Image image = maker_.make(prompt);
    stop_.check();
    const fs::path path = picture_path(job_.options.output_dir, job_.naming, *prompt.seed);
    write_png(path, image, {{"parameters", sample_parameters(prompt, traits(), job_.how.sampler)}});
    log::info("{}", path.string());
  }

  void make_those_asked_for(SamplePrompt start) {
    while (true) {
      try {
        const auto typed = job_.ask(start, traits());
        if (!typed) return;
        if (typed->multipliers) maker_.set_multipliers(*typed->multipliers);
        // Sizes, steps and strengths stay for the next prompt.
        SamplePrompt next = typed->prompt;
        next.seed = start.seed;
        next.negative_prompt = start.negative_prompt;
        start = next;
        make(typed->prompt);
      } catch (const UserError& error) {
        stop_.check();
        log::error("{}", error.what());  // the next prompt may do
      }
    }
  }

  InferenceJob& job_;
  StopSignal stop_;
  PictureMaker maker_;
};

}  // namespace

int run_inference(InferenceJob& job) {
  nn::use_pooled_memory();
  Session(job).run();
  return 0;
}

std::optional<std::string> ask_line(std::string_view question) {
  fmt::print("{}", question);
  std::fflush(stdout);
  std::string answer;
  if (!std::getline(std::cin, answer)) return std::nullopt;
  if (answer.ends_with('\r')) answer.pop_back();
  return answer;
}

std::optional<TypedPrompt> ask_for_prompt(const SamplePrompt& start, std::span<const DialogueFlag> flags,
                                          const PictureTraits& traits, std::string_view end_word) {
  std::string known;
  for (const DialogueFlag& flag : flags) known += fmt::format(" --{} {},", flag.flag, flag.key);
  const std::string question = fmt::format(
      "prompt ({} ends; options:{} --m multipliers of the LoRAs): ", end_word.empty() ? "empty" : end_word, known);
  while (true) {
    const auto line = ask_line(question);
    if (!line || *line == end_word) return std::nullopt;
    if (line->empty()) continue;
    return parse_typed_prompt(*line, start, flags, traits);
  }
}

}  // namespace difftune
