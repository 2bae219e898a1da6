#include "families/checkpoint_reader.h"

#include <ATen/ops/clamp.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"

namespace difftune {
namespace {

constexpr double kLargestFp8 = 448;

class CheckpointReader : public nn::ParameterReader {
 public:
  CheckpointReader(std::shared_ptr<const TensorSource> source, c10::ScalarType dtype, c10::Device device,
                   WeightStorage storage)
      : source_(std::move(source)), dtype_(dtype), device_(device), storage_(std::move(storage)) {}

  at::Tensor read(const std::string& path, at::IntArrayRef shape, nn::Init init, int64_t) override {
    if (!source_->contains(path)) fail_missing_key(*source_, path);
    const at::Tensor stored = source_->tensor(path);
    if (stored.sizes() != shape) {
      fail("{}: {} has shape [{}], expected [{}]", source_->path().string(), path, fmt::join(stored.sizes(), ", "),
           fmt::join(shape, ", "));
    }
    // Layers are the only ones that start from their fan-in.
    const bool is_layer_weight = stored.dim() >= 2 && init == nn::Init::uniform_fan_in;
    const auto device = is_layer_weight && waits_on_cpu(path) ? c10::Device(c10::kCPU) : device_;
    if (storage_.is_fp8) return narrowed(path, stored, is_layer_weight, device);
    const auto dtype = keeps_stored_dtype(stored) ? stored.scalar_type() : dtype_;
    if (stored.dim() != 4 && stored.scalar_type() == dtype && stored.device() == device) return stored;
    return converted(path, stored, dtype, device);
  }

  c10::ScalarType dtype() const override { return dtype_; }

 private:
  // Convolutions run channels-last: packing the weight here spares a second copy.
  at::Tensor converted(const std::string& path, const at::Tensor& stored, c10::ScalarType dtype,
                       c10::Device device) const {
    at::Tensor result = stored.to(stored.options().dtype(dtype).device(device), /*non_blocking=*/false, /*copy=*/true,
                                  stored.dim() == 4 ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous);
    source_->drop_pages(path);
    return result;
  }

  at::Tensor narrowed(const std::string& path, const at::Tensor& stored, bool is_layer_weight,
                      c10::Device device) const {
    const bool is_narrow = stored.scalar_type() == at::kFloat8_e4m3fn;
    if (is_layer_weight && is_narrow && stored.dim() == 2 && stored.device() == device) return stored;
    if (!is_layer_weight && !storage_.rounds_all_to_fp8) return converted(path, stored, dtype_, device);
    const at::Tensor in_range = is_narrow ? stored : at::clamp(stored, -kLargestFp8, kLargestFp8);
    const at::Tensor narrow = converted(path, in_range, at::kFloat8_e4m3fn, device);
    return is_layer_weight ? narrow : narrow.to(dtype_);
  }

  bool waits_on_cpu(const std::string& path) const {
    return std::any_of(storage_.paths_on_cpu.begin(), storage_.paths_on_cpu.end(),
                       [&](const std::string& block) { return path.starts_with(block + "."); });
  }

  // Matrices, kernels and embedding tables in half precision stay so where the model computes in fp32 on the CPU: nn
  // widens them as it uses them, exactly, which saves the time of a copy and half of the memory. Float8 stays on every
  // device. The largest matrices stay in the mapped file even where the model computes in the other half precision: a
  // converted copy of T5 XXL would take 9.5 GB.
  bool keeps_stored_dtype(const at::Tensor& stored) const {
    constexpr int64_t kLarge = 100'000, kHuge = 16'000'000;
    const auto type = stored.scalar_type();
    const bool is_matrix = stored.dim() == 2;
    if (type == at::kFloat8_e4m3fn) return is_matrix && stored.numel() >= kLarge;
    if (!device_.is_cpu() || (type != at::kHalf && type != at::kBFloat16)) return false;
    if (dtype_ != at::kFloat) return is_matrix && stored.numel() >= kHuge;
    return stored.dim() >= 2 && stored.numel() >= kLarge;
  }

  std::shared_ptr<const TensorSource> source_;
  c10::ScalarType dtype_;
  c10::Device device_;
  WeightStorage storage_;
};

}  // namespace

std::unique_ptr<nn::ParameterReader> make_checkpoint_reader(std::shared_ptr<const TensorSource> source,
                                                            c10::ScalarType dtype, c10::Device device,
                                                            WeightStorage storage) {
  return std::make_unique<CheckpointReader>(std::move(source), dtype, device, std::move(storage));
}

}  // namespace difftune
