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
    if (stored.scalar_type() == dtype_ && stored.device() == device_) return stored;
    at::Tensor converted = stored.to(device_, dtype_);
    source_->drop_pages(path);
    return converted;
  }

 private:
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
