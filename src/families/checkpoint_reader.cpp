#include "families/checkpoint_reader.h"

#include <fmt/ranges.h>

#include "base/error.h"

namespace difftune {
namespace {

class CheckpointReader : public nn::ParameterReader {
 public:
  CheckpointReader(std::shared_ptr<const TensorSource> source, c10::ScalarType dtype, c10::Device device,
                   Storage storage)
      : source_(std::move(source)), dtype_(dtype), device_(device), storage_(storage) {}

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
  bool keeps_stored_dtype(const at::Tensor& stored) const {
    const auto type = stored.scalar_type();
    const bool as_in_file = storage_ == Storage::as_in_file, is_half = type == at::kHalf || type == at::kBFloat16;
    if (as_in_file && stored.dim() == 2 && (type == at::kFloat8_e4m3fn || (is_half && device_.is_cpu()))) {
      return stored.numel() >= 100'000;
    }
    if (!is_half || !device_.is_cpu() || dtype_ != at::kFloat) return false;
    const int64_t large_kernel = as_in_file ? 500'000 : 4'000'000, large_matrix = 20'000'000;
    return stored.numel() >= (stored.dim() == 4 ? large_kernel : large_matrix);
  }

  std::shared_ptr<const TensorSource> source_;
  c10::ScalarType dtype_;
  c10::Device device_;
  Storage storage_;
};

}  // namespace

std::unique_ptr<nn::ParameterReader> make_checkpoint_reader(std::shared_ptr<const TensorSource> source,
                                                            c10::ScalarType dtype, c10::Device device,
                                                            Storage storage) {
  return std::make_unique<CheckpointReader>(std::move(source), dtype, device, storage);
}

}  // namespace difftune
