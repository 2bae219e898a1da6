// The weight tools against a limit of the machine: merging against copying the checkpoint's bytes into a file,
// extracting and resizing against LAPACK's SVD of the same layers, which is how sd-scripts does it.
#include <ATen/ops/mm.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/scalar_tensor.h>
#include <fmt/format.h>

#include <filesystem>

#include "bench/bench.h"
#include "weight_tools/leading_svd.h"
#include "weight_tools/merge_into_checkpoint.h"
#include "weight_tools/resize_lora.h"
#include "weights/open_weights.h"
#include "weights/safetensors.h"

namespace difftune::bench {
namespace {

// Removed with everything in it.
class ScratchFolder {
 public:
  ScratchFolder() : path_(fs::temp_directory_path() / "difftune_bench") { fs::create_directories(path_); }
  ~ScratchFolder() {
    std::error_code ec;
    fs::remove_all(path_, ec);
  }
  fs::path operator/(const char* name) const { return path_ / name; }

 private:
  fs::path path_;
};

// The layers of a transformer block of FLUX.1 at a third of its width, as its LoRAs name them.
struct Layer {
  const char *key, *module;
  int64_t rows, columns;
};
constexpr int64_t kWidth = 1024, kRank = 16;
constexpr Layer kLayers[] = {
    {"double_blocks.0.img_attn.qkv.weight", "lora_unet_double_blocks_0_img_attn_qkv", 3 * kWidth, kWidth},
    {"double_blocks.0.img_attn.proj.weight", "lora_unet_double_blocks_0_img_attn_proj", kWidth, kWidth},
    {"double_blocks.0.img_mlp.0.weight", "lora_unet_double_blocks_0_img_mlp_0", 4 * kWidth, kWidth},
    {"double_blocks.0.img_mlp.2.weight", "lora_unet_double_blocks_0_img_mlp_2", kWidth, 4 * kWidth},
    {"single_blocks.0.linear1.weight", "lora_unet_single_blocks_0_linear1", 7 * kWidth, kWidth},
};

void write_checkpoint_and_lora(const fs::path& checkpoint, const fs::path& lora) {
  std::vector<NamedTensor> weights = {{"img_in.weight", at::randn({kWidth, 64}).to(at::kBFloat16)}}, factors;
  for (const Layer& layer : kLayers) {
    weights.emplace_back(layer.key, at::randn({layer.rows, layer.columns}).to(at::kBFloat16));
    const std::string module = layer.module;
    factors.emplace_back(module + ".lora_down.weight", at::randn({kRank, layer.columns}));
    factors.emplace_back(module + ".lora_up.weight", at::randn({layer.rows, kRank}));
    factors.emplace_back(module + ".alpha", at::scalar_tensor(kRank, at::kFloat));
  }
  write_safetensors(checkpoint, weights);
  write_safetensors(lora, factors);
}

void print_share(std::string_view name, Seconds seconds, std::string_view limit, Seconds of_limit) {
  print_result(name, seconds);
  print_result(fmt::format("  {}", limit), of_limit);
  fmt::print("  ratio {:.2f} (processor {:.2f})\n", of_limit.elapsed / seconds.elapsed,
             of_limit.processor / seconds.processor);
}

}  // namespace

void run_weight_tools(const Settings& settings) {
  const ScratchFolder folder;
  const fs::path checkpoint = folder / "checkpoint.safetensors", lora = folder / "lora.safetensors";
  write_checkpoint_and_lora(checkpoint, lora);

  const auto merge = [&] {
    const auto file = std::make_shared<const AdapterFile>(lora);
    const CheckpointMerge merged({open_weights(checkpoint)}, {{.file = file}}, {});
    write_checkpoint({.path = folder / "merged.safetensors"}, merged.recipes(0, at::kBFloat16), "merging");
  };
  const auto copy = [&] {
    const MappedFile file(checkpoint);
    AtomicFile copied(folder / "copy.safetensors", WrittenWhen::in_kernel);  // as the merge's
    copied.write(file.bytes().data(), file.bytes().size());
    copied.commit();
  };
  print_share("merge a LoRA", fastest_run(merge, settings.num_runs), "copy of the file",
              fastest_run(copy, settings.num_runs));

  const at::Tensor difference = at::randn({kWidth, kWidth});
  print_share("extract rank 16 of 1024x1024",
              fastest_run([&] { leading_svd(difference, kRank, /*seed=*/0); }, settings.num_runs), "LAPACK's SVD of it",
              fastest_run([&] { exact_svd(difference, kRank); }, 1));

  const AdapterFile file(lora);
  const auto full_svds = [&] {
    for (const AdapterModule& module : file.modules()) {
      const at::Tensor up = file.tensor(module, AdapterPart::up, at::kFloat);
      exact_svd(at::mm(up, file.tensor(module, AdapterPart::down, at::kFloat)), kRank / 2);
    }
  };
  print_share("resize a LoRA of five modules",
              fastest_run([&] { resize_lora(file, {.rank = kRank / 2}); }, settings.num_runs),
              "LAPACK's SVD of their products", fastest_run(full_svds, 1));
}

}  // namespace difftune::bench
