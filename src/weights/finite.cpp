#include "weights/finite.h"

#include <ATen/Parallel.h>
#include <ATen/ops/all.h>
#include <ATen/ops/isfinite.h>

#include <atomic>
#include <cstdint>

namespace difftune {
namespace {

// Whether no element has all bits of `mask` set: an exponent of ones is infinity or NaN. Without a branch inside, so
// that it is vectorised.
template <typename Bits>
bool none_has_all(const void* data, int64_t count, Bits mask) {
  constexpr int64_t kBlock = int64_t{1} << 16;
  const auto* values = static_cast<const Bits*>(data);
  std::atomic<bool> found{false};
  at::parallel_for(0, (count + kBlock - 1) / kBlock, 4, [&](int64_t first, int64_t last) {
    for (int64_t block = first; block < last && !found; ++block) {
      const int64_t end = std::min(count, (block + 1) * kBlock);
      Bits any = 0;
      for (int64_t i = block * kBlock; i < end; ++i) any |= static_cast<Bits>((values[i] & mask) == mask);
      if (any != 0) found = true;
    }
  });
  return !found;
}

}  // namespace

bool all_finite(const at::Tensor& tensor) {
  if (!tensor.is_floating_point() || tensor.numel() == 0) return true;
  const at::Tensor plain = tensor.detach().to(at::kCPU).contiguous();
  const void* data = plain.const_data_ptr();
  const int64_t count = plain.numel();
  switch (plain.scalar_type()) {
    case c10::ScalarType::Float:
      return none_has_all<uint32_t>(data, count, 0x7f800000);
    case c10::ScalarType::Half:
      return none_has_all<uint16_t>(data, count, 0x7c00);
    case c10::ScalarType::BFloat16:
      return none_has_all<uint16_t>(data, count, 0x7f80);
    case c10::ScalarType::Float8_e5m2:
      return none_has_all<uint8_t>(data, count, 0x7c);
    case c10::ScalarType::Float8_e4m3fn:  // has no infinity, and one NaN of each sign
      return none_has_all<uint8_t>(data, count, 0x7f);
    default:
      return at::isfinite(plain).all().item<bool>();
  }
}

}  // namespace difftune
