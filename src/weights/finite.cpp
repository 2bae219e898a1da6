#include "weights/finite.h"

#include <ATen/ops/all.h>
#include <ATen/ops/isfinite.h>

#include <cstdint>
#include <optional>

#include "base/error.h"

namespace difftune {
namespace {

// Whether no element has all bits of `mask` set: an exponent of ones is infinity or NaN. Without a branch inside, so
// that it is vectorised.
template <typename Bits>
bool none_has_all(const void* data, int64_t count, Bits mask) {
  const auto* values = static_cast<const Bits*>(data);
  Bits any = 0;
  for (int64_t i = 0; i < count; ++i) any |= static_cast<Bits>((values[i] & mask) == mask);
  return any == 0;
}

// Null for another dtype.
std::optional<bool> quick_check(c10::ScalarType dtype, const void* values, int64_t count) {
  switch (dtype) {
    case c10::ScalarType::Float:
      return none_has_all<uint32_t>(values, count, 0x7f800000);
    case c10::ScalarType::Half:
      return none_has_all<uint16_t>(values, count, 0x7c00);
    case c10::ScalarType::BFloat16:
      return none_has_all<uint16_t>(values, count, 0x7f80);
    case c10::ScalarType::Float8_e5m2:
      return none_has_all<uint8_t>(values, count, 0x7c);
    case c10::ScalarType::Float8_e4m3fn:  // has no infinity, and one NaN of each sign
      return none_has_all<uint8_t>(values, count, 0x7f);
    default:
      return std::nullopt;
  }
}

}  // namespace

bool all_finite(c10::ScalarType dtype, const void* values, int64_t count) {
  const auto found = quick_check(dtype, values, count);
  DT_CHECK(found, "all_finite() of {}", c10::toString(dtype));
  return *found;
}

bool all_finite(const at::Tensor& tensor) {
  if (!tensor.is_floating_point() || tensor.numel() == 0) return true;
  const at::Tensor plain = tensor.detach().to(at::kCPU).contiguous();
  const auto found = quick_check(plain.scalar_type(), plain.const_data_ptr(), plain.numel());
  return found ? *found : at::isfinite(plain).all().item<bool>();
}

}  // namespace difftune
