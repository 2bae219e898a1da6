#include "weight_tools/merge_into_checkpoint.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <atomic>
#include <cstddef>

#include "base/error.h"
#include "base/parallel.h"
#include "families/family_identity.h"
#include "families/saved_keys.h"
#include "nn/widen.h"
#include "weight_tools/tool_files.h"
#include "weights/finite.h"

namespace difftune {
namespace {

// So many elements of a weight are changed at a time: they stay in a core's cache through all operations.
constexpr int64_t kChunkElements = 1 << 16;
// MKL's product of a part of the rows has the bits of the whole product's rows where parts are a multiple of this.
constexpr int64_t kRowsTogether = 16;
constexpr size_t kChunksWorthAThread = 8;

[[noreturn]] void fail_without_match(const AdapterFile& file,
                                     const std::vector<std::shared_ptr<const TensorSource>>& checkpoints) {
  const auto names = file.module_names();
  const auto family = lora_family_name(names);
  const auto model = identify_checkpoint(*checkpoints[0]);
  fail("{}: none of its {} modules{} has a place in {}{} (the first is {})", file.path().string(), names.size(),
       family.empty() ? "" : fmt::format(", named as those of a LoRA for {},", family), checkpoints[0]->path().string(),
       model ? fmt::format(", which is {}", model->name) : "", names.front());
}

// What is added to adjacent rows, from `first_row` of a chunk on.
struct PartOfRows {
  int64_t first_row;
  ScaledProduct change;
};

// Wider vectors would be allowed to fuse a product and a sum, with other last bits than sd-scripts'.
#if defined(__x86_64__)
__attribute__((target_clones("avx2", "default")))
#endif
void add_scaled(const float* product, float first, float second, float* to, int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i] += product[i] * first * second;
}

// A pair of dtypes that rows are converted between by vector instructions.
bool is_quick_pair(const at::Tensor& stored, c10::ScalarType dtype) {
  const bool is_widened = stored.scalar_type() == at::kFloat || stored.scalar_type() == at::kHalf ||
                          stored.scalar_type() == at::kBFloat16 || stored.scalar_type() == at::kFloat8_e4m3fn;
  return is_widened && (dtype == at::kFloat || dtype == at::kBFloat16) && stored.is_contiguous();
}

// The sum in fp32, row by row while each is in the first-level cache. Of a quick pair, both contiguous. False where a
// value is not finite.
bool merge_quickly(const at::Tensor& stored, const std::vector<PartOfRows>& parts, at::Tensor result) {
  const int64_t columns = stored.numel() / std::max<int64_t>(1, stored.size(0));
  const auto* from = static_cast<const std::byte*>(stored.const_data_ptr());
  const size_t from_bytes = static_cast<size_t>(columns) * stored.element_size();
  auto* to = static_cast<std::byte*>(result.mutable_data_ptr());
  const size_t to_bytes = static_cast<size_t>(columns) * result.element_size();
  std::vector<float> sum(static_cast<size_t>(columns));
  for (int64_t row = 0; row < stored.size(0); ++row, from += from_bytes, to += to_bytes) {
    nn::widen_row(stored.scalar_type(), from, sum.data(), columns);
    for (const auto& [first_row, change] : parts) {
      if (row < first_row || row >= first_row + change.product.size(0)) continue;
      add_scaled(change.product.const_data_ptr<float>() + (row - first_row) * columns, static_cast<float>(change.first),
                 static_cast<float>(change.second), sum.data(), columns);
    }
    if (result.scalar_type() == at::kBFloat16) {
      nn::narrow_row(sum.data(), reinterpret_cast<c10::BFloat16*>(to), columns);
    } else {
      std::copy(sum.begin(), sum.end(), reinterpret_cast<float*>(to));
    }
    if (!all_finite(result.scalar_type(), to, columns)) return false;
  }
  return true;
}

bool is_attention_of_first_loras(const std::string& module) {
  return module.starts_with("lora_te") || module.find("_attentions_") != module.npos;
}

}  // namespace

CheckpointMerge::CheckpointMerge(std::vector<std::shared_ptr<const TensorSource>> checkpoints,
                                 std::vector<MergeInput> inputs, const MergeRules& rules)
    : checkpoints_(std::move(checkpoints)), inputs_(std::move(inputs)), rules_(rules), changes_(checkpoints_.size()) {
  std::vector<std::unique_ptr<LoraTargets>> targets;
  for (const auto& checkpoint : checkpoints_) targets.push_back(std::make_unique<LoraTargets>(*checkpoint));
  for (const MergeInput& input : inputs_) plan(input, targets);
}

void CheckpointMerge::plan(const MergeInput& input, const std::vector<std::unique_ptr<LoraTargets>>& targets) {
  FileReport& report = reports_.emplace_back();
  for (const AdapterModule& module : input.file->modules()) {
    const LoraTarget* target = nullptr;
    size_t place = 0;
    for (; place < targets.size(); ++place) {
      if ((target = targets[place]->find(module.name)) != nullptr) break;
    }
    if (target != nullptr && rules_.attention_only && !is_attention_of_first_loras(target->module)) target = nullptr;
    if (target == nullptr) {
      report.unmatched.push_back(module.name);
      continue;
    }
    const auto shape = checkpoints_[place]->info(target->key).shape;
    check_fits(*input.file, module, target->key, target->num_rows, shape);
    const bool has_full_strength = module.kind == AdapterKind::oft && rules_.oft_ignores_strength;
    const double factor = input.block_weights == nullptr || has_full_strength
                              ? 1
                              : input.block_weights->factor(target->module, rules_.block_names_of_sdxl);
    changes_[place][target->key].push_back(
        {input.file.get(), &module, target->first_row, target->num_rows, has_full_strength ? 1 : input.ratio, factor});
    ++report.num_matched;
  }
  if (report.num_matched == 0) fail_without_match(*input.file, checkpoints_);
}

at::Tensor CheckpointMerge::tensor(size_t checkpoint, const std::string& key, c10::ScalarType dtype) const {
  const TensorSource& source = *checkpoints_[checkpoint];
  const auto found = changes_[checkpoint].find(key);
  if (found != changes_[checkpoint].end()) return changed(source.tensor(key), found->second, dtype);
  const at::Tensor stored = source.tensor(key);
  return stored.is_floating_point() ? stored.to(dtype) : stored;
}

std::vector<TensorRecipe> CheckpointMerge::recipes(size_t checkpoint, c10::ScalarType dtype) const {
  const auto& source = checkpoints_[checkpoint];
  const SavedKeys saved_keys(*source);
  std::vector<TensorRecipe> recipes;
  for (const std::string& key : source->keys()) {
    const SavedKey saved = saved_keys(key);
    if (saved.how == SavedKey::How::left_out) continue;
    const TensorInfo info = source->info(key);
    const bool converts = saved.how == SavedKey::How::converted && c10::isFloatingType(info.dtype);
    const auto written = converts ? dtype : info.dtype;
    recipes.push_back({{saved.name, written, info.shape},
                       [this, checkpoint, key, written] { return tensor(checkpoint, key, written); },
                       {{source, key}},
                       /*checks_values=*/changes_[checkpoint].contains(key)});
  }
  return recipes;
}

at::Tensor CheckpointMerge::changed(const at::Tensor& stored, const std::vector<Change>& changes,
                                    c10::ScalarType dtype) const {
  at::Tensor result = at::empty(stored.sizes(), stored.options().dtype(dtype));
  std::vector<WeightChange> loaded;
  std::vector<double> ratios;
  for (const Change& change : changes) {
    loaded.push_back(read_change(*change.file, *change.module, change.num_rows, rules_.precision));
    // In the order of sd-scripts: the factor of a block belongs to the scale, where the kind has one.
    WeightChange& loaded_change = loaded.back();
    const bool has_scale = !loaded_change.rotation.defined() && !loaded_change.magnitude.defined();
    if (has_scale) loaded_change.scale *= change.block_factor;
    ratios.push_back(has_scale ? change.ratio : change.ratio * change.block_factor);
  }
  const bool is_row_by_row = std::all_of(loaded.begin(), loaded.end(), [](const auto& c) { return c.is_low_rank(); });
  const int64_t num_rows = stored.size(0),
                columns = std::max<int64_t>(1, stored.numel() / std::max<int64_t>(1, num_rows));
  const int64_t rows_of_chunk = std::max(kRowsTogether, kChunkElements / columns / kRowsTogether * kRowsTogether);
  const int64_t step = is_row_by_row ? rows_of_chunk : num_rows;
  const bool is_quick = is_row_by_row && rules_.precision == at::kFloat && is_quick_pair(stored, dtype);
  std::atomic<bool> is_finite{true};
  // Calls visit(i, first row of the chunk, first row of the change, number of rows) for what change i does to a chunk.
  const auto for_each_part = [&](int64_t row, int64_t count, const auto& visit) {
    for (size_t i = 0; i < changes.size(); ++i) {
      const int64_t begin = std::max(row, changes[i].first_row);
      const int64_t end = std::min(row + count, changes[i].first_row + changes[i].num_rows);
      if (begin < end) visit(i, begin - row, begin - changes[i].first_row, end - begin);
    }
  };
  const auto merge_rows = [&](size_t chunk) {
    if (!is_finite) return;
    const int64_t row = static_cast<int64_t>(chunk) * step, count = std::min(step, num_rows - row);
    const at::Tensor from = stored.narrow(0, row, count), to = result.narrow(0, row, count);
    if (is_quick) {
      std::vector<PartOfRows> parts;
      for_each_part(row, count, [&](size_t i, int64_t in_chunk, int64_t in_change, int64_t rows) {
        parts.push_back({in_chunk, low_rank_product(loaded[i], ratios[i], in_change, rows)});
      });
      if (!merge_quickly(from, parts, to)) is_finite = false;
      return;
    }
    at::Tensor weight = from.to(rules_.precision, /*non_blocking=*/false, /*copy=*/true);
    for_each_part(row, count, [&](size_t i, int64_t in_chunk, int64_t in_change, int64_t rows) {
      const at::Tensor part = weight.narrow(0, in_chunk, rows);
      if (is_row_by_row) {
        add_low_rank(loaded[i], ratios[i], in_change, part.flatten(1));
      } else {
        apply_change(loaded[i], ratios[i], part);
      }
    });
    to.copy_(weight);
  };
  const auto num_chunks = static_cast<size_t>((num_rows + step - 1) / step);
  // Starting threads costs more than a few chunks.
  parallel_for(num_chunks, merge_rows, num_chunks < kChunksWorthAThread ? 1 : 0);
  if (!is_quick) is_finite = all_finite(result);
  return is_finite ? result : at::Tensor();
}

}  // namespace difftune
