#include "weight_tools/checkpoint_output.h"

#include <deque>
#include <optional>
#include <unordered_map>

#include "base/error.h"
#include "base/prefetcher.h"
#include "base/progress.h"
#include "weight_tools/stop_signal.h"
#include "weights/finite.h"
#include "weights/tensor_bytes.h"

namespace difftune {
namespace {

constexpr uint64_t kMegabyte = 1'000'000;

int64_t megabytes(uint64_t num_bytes) { return static_cast<int64_t>((num_bytes + kMegabyte - 1) / kMegabyte); }

uint64_t num_bytes(const TensorDeclaration& tensor) {
  return TensorInfo{tensor.dtype, tensor.shape}.num_elements() * c10::elementSize(tensor.dtype);
}

fs::path folder_of(const fs::path& path) { return path.has_parent_path() ? path.parent_path() : fs::path("."); }

[[noreturn]] void fail_not_finite(const TensorRecipe& recipe) {
  for (const TensorRecipe::Input& input : recipe.inputs) {
    if (!all_finite(input.source->tensor(input.key))) {
      fail("{}: tensor '{}' holds NaN or infinite values; the file is damaged, and nothing was written",
           input.source->path().string(), input.key);
    }
  }
  fail("tensor '{}' has values beyond the range of {}; save as bf16 or float instead. Nothing was written",
       recipe.tensor.name, dtype_name(recipe.tensor.dtype));
}

// Makes the tensors of one file on threads of its own, ahead of their being written.
class Maker {
 public:
  // `order` is that in which the tensors are asked for.
  Maker(const std::vector<TensorRecipe>& recipes, const std::vector<TensorDeclaration>& order, const std::string& label)
      : progress_(label, megabytes(total_bytes(recipes)), "MB"),
        recipes_(in_order(recipes, order)),
        batches_(batches()) {
    ahead_.emplace(
        0, batches_.size(), [this](size_t i) { return make_batch(batches_[i]); }, kNumThreads,
        /*num_ahead=*/kNumThreads);
  }

  at::Tensor take(const std::string& name) {
    stop_.check();
    if (next_ > 0) drop_pages(*recipes_[next_ - 1]);  // which is written by now
    const TensorRecipe& recipe = *recipes_[next_++];
    DT_CHECK(recipe.tensor.name == name, "'{}' is made and '{}' wanted", recipe.tensor.name, name);
    if (made_.empty()) made_ = *ahead_->next();
    const at::Tensor tensor = std::move(made_.front());
    made_.pop_front();
    done_ += num_bytes(recipe.tensor);
    progress_.advance(megabytes(done_) - progress_.done());
    return tensor;
  }

 private:
  // Tensors are made one beside the other: each goes through steps (a new tensor's pages, its file's pages) that take
  // one thread only. More would take memory, and a large tensor uses all processors by itself.
  static constexpr size_t kNumThreads = 2;
  // Neighbouring tensors that are made in one go: a large one, or many small ones. One more than there are threads is
  // in memory, the one that is written.
  struct Batch {
    size_t begin, end;
  };
  static constexpr uint64_t kBatchBytes = 32 << 20;

  static std::vector<const TensorRecipe*> in_order(const std::vector<TensorRecipe>& recipes,
                                                   const std::vector<TensorDeclaration>& order) {
    std::unordered_map<std::string_view, const TensorRecipe*> by_name;
    for (const TensorRecipe& recipe : recipes) by_name.emplace(recipe.tensor.name, &recipe);
    std::vector<const TensorRecipe*> ordered;
    for (const TensorDeclaration& tensor : order) ordered.push_back(by_name.at(tensor.name));
    return ordered;
  }

  std::vector<Batch> batches() const {
    std::vector<Batch> batches;
    uint64_t bytes = kBatchBytes;
    for (size_t i = 0; i < recipes_.size(); ++i) {
      const uint64_t more = num_bytes(recipes_[i]->tensor);
      if (bytes + more > kBatchBytes) {
        batches.push_back({i, i});
        bytes = 0;
      }
      bytes += more;
      batches.back().end = i + 1;
    }
    return batches;
  }

  std::deque<at::Tensor> make_batch(const Batch& batch) const {
    std::deque<at::Tensor> made;
    for (size_t i = batch.begin; i < batch.end; ++i) {
      const TensorRecipe& recipe = *recipes_[i];
      const at::Tensor tensor = recipe.make();
      if (!tensor.defined()) fail_not_finite(recipe);
      made.push_back(to_plain_cpu(tensor, recipe.tensor.dtype));
      if (!recipe.checks_values && !all_finite(made.back())) fail_not_finite(recipe);
    }
    return made;
  }

  static void drop_pages(const TensorRecipe& recipe) {
    for (const TensorRecipe::Input& input : recipe.inputs) input.source->drop_pages(input.key);
  }

  StopSignal stop_;
  Progress progress_;
  const std::vector<const TensorRecipe*> recipes_;
  const std::vector<Batch> batches_;
  std::deque<at::Tensor> made_;
  size_t next_ = 0;
  uint64_t done_ = 0;
  std::optional<Prefetcher<std::deque<at::Tensor>>> ahead_;  // the last member: its thread uses the others
};

}  // namespace

TensorRecipe copy_recipe(std::string name, const TensorRecipe::Input& input, std::optional<c10::ScalarType> dtype) {
  const TensorInfo info = input.source->info(input.key);
  return {{std::move(name), dtype.value_or(info.dtype), info.shape},
          [input] { return input.source->tensor(input.key); },
          {input}};
}

void require_new_file(const fs::path& output, std::span<const fs::path> inputs, std::string_view option) {
  std::error_code ec;
  if (output.empty()) throw UsageError(fmt::format("{} is missing: the file to write", option));
  if (fs::is_directory(output, ec)) fail("{} {}: is a folder, expected the file to write", option, output.string());
  for (const fs::path& input : inputs) {
    if (fs::equivalent(output, input, ec)) {
      fail("{} {}: is also an input, which would be overwritten; choose another name", option, output.string());
    }
  }
}

uint64_t total_bytes(const std::vector<TensorRecipe>& recipes) {
  uint64_t sum = 0;
  for (const TensorRecipe& recipe : recipes) sum += num_bytes(recipe.tensor);
  return sum;
}

void require_free_space(const fs::path& path, const std::vector<TensorRecipe>& recipes) {
  const uint64_t needed = total_bytes(recipes), available = free_space_bytes(folder_of(path));
  if (available < needed) {
    fail("{}: needs {}, but only {} are free there", path.string(), display_bytes(needed), display_bytes(available));
  }
}

void write_checkpoint(const CheckpointOutput& output, const std::vector<TensorRecipe>& recipes,
                      const std::string& label) {
  require_free_space(output.path, recipes);
  const fs::path folder = folder_of(output.path);
  std::error_code ec;
  fs::create_directories(folder, ec);
  if (ec) fail("{}: the folder cannot be created ({})", folder.string(), ec.message());
  remove_stale_temporaries(folder);

  std::vector<TensorDeclaration> tensors;
  for (const TensorRecipe& recipe : recipes) tensors.push_back(recipe.tensor);
  const bool is_safetensors = output.path.extension() == ".safetensors" || output.path.extension() == ".sft";
  Maker maker(recipes, is_safetensors ? in_file_order(tensors, output.style) : tensors, label);
  const TensorProvider provide = [&](const std::string& name) { return maker.take(name); };
  if (is_safetensors) {
    write_safetensors(output.path, tensors, provide, output.metadata, output.style, WrittenWhen::in_kernel);
  } else {
    write_torch_checkpoint(output.path, tensors, provide, output.torch, WrittenWhen::in_kernel);
  }
}

std::string display_bytes(uint64_t num_bytes) {
  if (num_bytes >= 1000 * kMegabyte) return fmt::format("{:.1f} GB", static_cast<double>(num_bytes) / 1e9);
  if (num_bytes >= kMegabyte) return fmt::format("{:.1f} MB", static_cast<double>(num_bytes) / 1e6);
  return fmt::format("{} bytes", num_bytes);
}

}  // namespace difftune
