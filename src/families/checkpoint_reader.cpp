#include "families/checkpoint_reader.h"

#include <fmt/ranges.h>

#include "base/error.h"

namespace difftune {
namespace {

class CheckpointReader : public nn::ParameterReader {
 public:
  CheckpointReader(std::shared_ptr<const TensorSource> source, c10::ScalarType dtype, c10::Device device)
      : source_(std::move(source)), dtype_(dtype), device_(device) {}

  at::Tensor read(const std::string& path, at::IntArrayRef shape, nn::Init, int64_t) override {
    if (!source_->contains(path)) fail_missing_key(*source_, path);
    const at::Tensor stored = source_->tensor(path);
    if (stored.sizes() != shape) {
      fail("{}: {} has shape [{}], expected [{}]", source_->path().string(), path, fmt::join(stored.sizes(), ", "),
           fmt::join(shape, ", "));
    }
    const auto dtype = keeps_stored_dtype(stored) ? stored.scalar_type() : dtype_;
    const bool is_kernel = stored.dim() == 4;
    if (!is_kernel && stored.scalar_type() == dtype && stored.device() == device_) return stored;
    // Convolutions run channels-last: packing the weight here spares a second copy.
    at::Tensor converted =
        stored.to(stored.options().dtype(dtype).device(device_), /*non_blocking=*/false,
                  /*copy=*/true, is_kernel ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous);
    source_->drop_pages(path);
    return converted;
  }

  c10::ScalarType dtype() const override { return dtype_; }

 private:
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
};

}  // namespace

std::unique_ptr<nn::ParameterReader> make_checkpoint_reader(std::shared_ptr<const TensorSource> source,
                                                            c10::ScalarType dtype, c10::Device device) {
  return std::make_unique<CheckpointReader>(std::move(source), dtype, device);
}

}  // namespace difftune
