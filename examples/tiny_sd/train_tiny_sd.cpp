// Makes assets/tiny-sd.safetensors, the small Stable Diffusion model of the demo, with difftune's own models, objective
// and optimizer: train_tiny_sd OUT.safetensors [--from FILE] [options, see parse()]
#include <fmt/format.h>

#include <charconv>
#include <cstdio>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "nn/pooled_allocator.h"
#include "tiny_sd/train_parts.h"

namespace difftune::tiny {
namespace {

struct Arguments {
  fs::path out;
  std::optional<fs::path> from, autoencoder;
  TrainSettings decoder{3000, 1, 5e-4, 1};
  TrainSettings denoiser{3000, 32, 2e-3, 1};
};

template <typename Number>
Number parse_number(std::string_view option, std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) {
    fail("{} {}: expected a number, 0 or more", option, text);
  }
  return value;
}

Arguments parse(int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') {
    fail(
        "usage: train_tiny_sd OUT.safetensors [--from FILE] [--autoencoder FILE] "
        "[--decoder_steps N] [--steps N] [--batch N] [--rate X] [--schedule NAME] [--seed N]");
  }
  Arguments arguments;
  arguments.out = argv[1];
  for (int i = 2; i < argc; i += 2) {
    const std::string_view option = argv[i];
    if (i + 1 == argc) fail("{}: expected a value after it", option);
    const std::string_view value = argv[i + 1];
    if (option == "--from") {
      arguments.from = fs::path(value);
    } else if (option == "--autoencoder") {
      arguments.autoencoder = fs::path(value);
    } else if (option == "--decoder_steps") {
      arguments.decoder.num_steps = parse_number<int64_t>(option, value);
    } else if (option == "--steps") {
      arguments.denoiser.num_steps = parse_number<int64_t>(option, value);
    } else if (option == "--rate") {
      arguments.denoiser.learning_rate = parse_number<double>(option, value);
    } else if (option == "--batch") {
      arguments.denoiser.batch_size = parse_number<int64_t>(option, value);
    } else if (option == "--schedule") {
      arguments.decoder.schedule = arguments.denoiser.schedule = value;
    } else if (option == "--seed") {
      arguments.decoder.seed = arguments.denoiser.seed = parse_number<uint64_t>(option, value);
    } else {
      fail("{}: there is no such option; train_tiny_sd alone prints those there are", option);
    }
  }
  return arguments;
}

void run(Arguments arguments) {
  TinyModel model = arguments.from ? load_tiny_model(*arguments.from) : new_tiny_model(arguments.decoder.seed);
  if (!arguments.from) scale_latents(model, arguments.decoder.seed);
  if (arguments.autoencoder) model.vae = load_tiny_model(*arguments.autoencoder).vae;
  arguments.decoder.save = arguments.denoiser.save = [&] { save_tiny_model(model, arguments.out); };
  if (arguments.decoder.num_steps > 0) train_decoder(model, arguments.decoder);
  if (arguments.denoiser.num_steps > 0) train_denoiser(model, arguments.denoiser);
  save_tiny_model(model, arguments.out);
}

}  // namespace
}  // namespace difftune::tiny

int main(int argc, char** argv) {
  try {
    difftune::nn::use_pooled_memory();
    difftune::tiny::run(difftune::tiny::parse(argc, argv));
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "train_tiny_sd: {}\n", error.what());
    return 1;
  }
}
