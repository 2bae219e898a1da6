#include "generate/sample_files.h"

#include <ctime>
#include <memory>
#include <random>

#include "base/error.h"
#include "base/log.h"
#include "base/progress.h"
#include "image/write_image.h"

namespace difftune {
namespace {

std::string local_time() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  localtime_r(&now, &parts);
  char text[16];
  return {text, std::strftime(text, sizeof(text), "%Y%m%d%H%M%S", &parts)};
}

std::string file_name(const SampleFiles& files, size_t index, const std::optional<uint64_t>& seed) {
  return fmt::format("{}{}_{:02}_{}{}.png", files.output_name.empty() ? "" : files.output_name + "_",
                     files.epoch ? fmt::format("e{:06}", *files.epoch) : fmt::format("{:06}", files.step), index,
                     local_time(), seed ? fmt::format("_{}", *seed) : "");
}

// Messages of LibTorch go on with a backtrace.
std::string first_line(std::string_view text) { return std::string(text.substr(0, text.find('\n'))); }

fs::path make_sample(const ModelFamily& family, SamplePrompt prompt, GenerateOptions options, const SampleFiles& files,
                     size_t index, size_t count, const Conditioning* text) {
  std::unique_ptr<Progress> progress;
  options.on_call = [&](int64_t, int64_t num_calls) {
    if (!progress) progress = std::make_unique<Progress>(fmt::format("picture {}/{}", index + 1, count), num_calls);
    progress->advance();
  };
  const std::string name = file_name(files, index, prompt.seed);
  if (!prompt.seed) prompt.seed = std::random_device()();  // known, so that the file can say it
  const fs::path path = files.output_dir / "sample" / name;
  require_writable_folder(path.parent_path(), "--output_dir");
  write_png(path, generate_image(family, prompt, options, text),
            {{"parameters", sample_parameters(prompt, family.info().pictures, options.sampler)}});
  log::info("sample picture {}: {}", path.string(), prompt.prompt);
  return path;
}

}  // namespace

std::vector<fs::path> generate_samples(const ModelFamily& family, std::span<const SamplePrompt> prompts,
                                       const GenerateOptions& options, const SampleFiles& files,
                                       std::span<const Conditioning> texts) {
  std::vector<fs::path> paths;
  for (size_t i = 0; i < prompts.size(); ++i) {
    try {
      paths.push_back(
          make_sample(family, prompts[i], options, files, i, prompts.size(), texts.empty() ? nullptr : &texts[i]));
    } catch (const std::exception& error) {
      log::error("sample picture {} of {} ('{}') is left out: {}", i + 1, prompts.size(), prompts[i].prompt,
                 first_line(error.what()));
    }
  }
  return paths;
}

std::string sample_parameters(const SamplePrompt& prompt, const PictureTraits& traits,
                              const std::string& default_sampler) {
  std::string text = prompt.prompt + "\n";
  if (!prompt.negative_prompt.empty()) text += fmt::format("Negative prompt: {}\n", prompt.negative_prompt);
  text += fmt::format("Steps: {}, Sampler: {}, CFG scale: {}, ", prompt.num_steps,
                      traits.has_samplers ? prompt.sampler.value_or(default_sampler) : "euler", prompt.scale);
  if (prompt.guidance) text += fmt::format("Distilled CFG Scale: {}, ", *prompt.guidance);
  if (prompt.seed) text += fmt::format("Seed: {}, ", *prompt.seed);
  return text + fmt::format("Size: {}x{}", prompt.width_px, prompt.height_px);
}

}  // namespace difftune
