// What training promises for every family: two steps with each adapter, in fp32, bf16 and with an 8-bit base, with
// captions that are cached or encoded in every step. What saves memory (recomputing blocks, waiting weights and inputs)
// changes no bit of the result.
#include <ATen/ops/abs.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/isfinite.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <map>
#include <ostream>
#include <regex>

#include "commands/command_table.h"
#include "image/write_image.h"
#include "tiny_models.h"

namespace difftune {
namespace {

using Words = std::vector<std::string>;

struct Case {
  const TinyModel* model;
  std::string network_module;
  std::string precision;  // no, bf16, fp8
  bool caches_text;
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.model->name << " " << c.network_module << " " << c.precision << (c.caches_text ? " cached" : " live");
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const TinyModel& model : tiny_models()) {
    for (const auto& module : model.network_modules) {
      for (const char* precision : {"no", "bf16", "fp8"}) {
        for (const bool caches_text : {false, true}) {
          if (!caches_text || model.caches_text) cases.push_back({&model, module, precision, caches_text});
        }
      }
    }
  }
  return cases;
}

std::string name_of(const testing::TestParamInfo<Case>& info) {
  const Case& c = info.param;
  return fmt::format("{}_{}_{}_{}", c.model->name, c.network_module.substr(c.network_module.find('.') + 1),
                     c.precision == "no" ? "fp32" : c.precision, c.caches_text ? "cached" : "live");
}

// The files of all models and two pictures, written when they are first asked for and kept until the tests end.
class Files : public testing::Environment {
 public:
  static Files& instance() {
    static auto* files = static_cast<Files*>(testing::AddGlobalTestEnvironment(new Files));
    return *files;
  }
  void TearDown() override { fs::remove_all(folder_); }

  const fs::path& folder() const { return folder_; }
  const Words& words_of(const TinyModel& model) {
    auto [entry, is_new] = words_.try_emplace(model.name);
    if (is_new) entry->second = model.write(folder_ / model.name);
    return entry->second;
  }

 private:
  Files() : folder_(fs::temp_directory_path() / fmt::format("difftune_contract_{}", getpid())) {
    fs::remove_all(folder_);  // of an earlier process with this number
    const fs::path pictures = folder_ / "pictures" / "1_things";
    fs::create_directories(pictures);
    for (int picture = 0; picture < 2; ++picture) {
      Image image(64, 64, 3);
      for (size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = static_cast<uint8_t>(i * (picture + 3) >> 4);
      write_png(pictures / fmt::format("{}.png", picture), image);
      write_file_atomically(pictures / fmt::format("{}.txt", picture),
                            picture == 0 ? "a red thing" : "two things, big");
    }
  }

  fs::path folder_;
  std::map<std::string, Words> words_;
};
Files& files = Files::instance();

class Training : public testing::TestWithParam<Case> {
 protected:
  std::map<std::string, at::Tensor> train(const Words& more = {}) {
    const Case& c = GetParam();
    const fs::path out = files.folder() / "out";
    fs::remove_all(out);
    Words words = {c.model->command};
    const auto add = [&words](const Words& those) { words.insert(words.end(), those.begin(), those.end()); };
    add(files.words_of(*c.model));
    add({"--train_data_dir",
         (files.folder() / "pictures").string(),
         "--resolution",
         "64,64",
         "--output_dir",
         out.string(),
         "--output_name",
         "lora",
         "--network_module",
         c.network_module,
         "--network_dim",
         "2",
         "--learning_rate",
         "1e-2",
         "--optimizer_type",
         "AdamW",
         "--max_train_steps",
         "2",
         "--seed",
         "1",
         "--cache_latents",
         "--console_log_level",
         "ERROR",
         "--max_data_loader_n_workers",
         "0"});
    add({"--mixed_precision", c.precision == "no" ? "no" : "bf16"});
    if (c.precision == "fp8") add({"--fp8_base"});
    if (c.caches_text) add({"--cache_text_encoder_outputs", "--network_train_unet_only"});
    add(more);
    EXPECT_EQ(run_command_line(words, "test"), 0);
    const SafetensorsFile file(out / "lora.safetensors");
    std::map<std::string, at::Tensor> tensors;
    for (const auto& key : file.keys()) tensors[key] = file.tensor(key).clone();
    return tensors;
  }

  void expect_same(const std::map<std::string, at::Tensor>& plain, const Words& how) {
    const auto tensors = train(how);
    ASSERT_EQ(tensors.size(), plain.size());
    int64_t num_different = 0;
    for (const auto& [key, tensor] : plain) num_different += !at::equal(tensor, tensors.at(key));
    EXPECT_EQ(num_different, 0) << fmt::format("{}", fmt::join(how, " "));
  }
};

TEST_P(Training, GivesTheSameBitsHoweverMemoryIsSaved) {
  const Case& c = GetParam();
  const auto plain = train();

  const std::regex module(c.caches_text ? c.model->denoiser_module
                                        : "(" + c.model->denoiser_module + ")|(" + c.model->text_module + ")");
  bool has_changed = false, has_text = false;
  for (const auto& [key, tensor] : plain) {
    const auto dot = key.find('.');
    EXPECT_TRUE(std::regex_match(key.substr(0, dot), module)) << key;
    EXPECT_THAT(key.substr(dot), testing::AnyOf(".alpha", ".lora_down.weight", ".lora_up.weight"));
    EXPECT_TRUE(at::isfinite(tensor).all().item<bool>()) << key;
    has_text |= key.starts_with("lora_te");
    has_changed |= key.ends_with(".lora_up.weight") && at::abs(tensor).max().item<double>() > 0;
  }
  EXPECT_TRUE(has_changed);
  EXPECT_EQ(has_text, !c.caches_text);

  Words swap;
  if (c.model->blocks_to_swap > 0) swap = {"--blocks_to_swap", std::to_string(c.model->blocks_to_swap)};
  Words both = {"--gradient_checkpointing", "--cpu_offload_checkpointing"};
  both.insert(both.end(), swap.begin(), swap.end());
  expect_same(plain, {"--gradient_checkpointing"});
  if (!swap.empty()) expect_same(plain, swap);
  expect_same(plain, both);
}

INSTANTIATE_TEST_SUITE_P(, Training, testing::ValuesIn(all_cases()), name_of);

}  // namespace
}  // namespace difftune
