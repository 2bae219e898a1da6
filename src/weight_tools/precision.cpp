#include "weight_tools/precision.h"

#include <array>

#include "base/error.h"

namespace difftune {
namespace {

struct Precision {
  std::string_view name;
  c10::ScalarType dtype;
};
constexpr std::array kPrecisions = {
    Precision{"float", c10::ScalarType::Float},
    Precision{"fp32", c10::ScalarType::Float},
    Precision{"float32", c10::ScalarType::Float},
    Precision{"fp16", c10::ScalarType::Half},
    Precision{"float16", c10::ScalarType::Half},
    Precision{"bf16", c10::ScalarType::BFloat16},
    Precision{"bfloat16", c10::ScalarType::BFloat16},
    Precision{"fp8", c10::ScalarType::Float8_e4m3fn},
    Precision{"float8", c10::ScalarType::Float8_e4m3fn},
    Precision{"fp8_e4m3fn", c10::ScalarType::Float8_e4m3fn},
    Precision{"e4m3fn", c10::ScalarType::Float8_e4m3fn},
    Precision{"float8_e4m3fn", c10::ScalarType::Float8_e4m3fn},
    Precision{"fp8_e5m2", c10::ScalarType::Float8_e5m2},
    Precision{"e5m2", c10::ScalarType::Float8_e5m2},
    Precision{"float8_e5m2", c10::ScalarType::Float8_e5m2},
};

}  // namespace

c10::ScalarType parse_precision(const std::string& name, std::string_view option) {
  for (const Precision& precision : kPrecisions) {
    if (precision.name == name) return precision.dtype;
  }
  throw UsageError(fmt::format("{} {}: expected float, fp16, bf16, fp8_e4m3fn or fp8_e5m2{}", option, name,
                               name.ends_with("fnuz") ? "; safetensors files have no fnuz formats" : ""));
}

std::optional<c10::ScalarType> parse_precision(const std::optional<std::string>& name, std::string_view option) {
  return name ? std::optional(parse_precision(*name, option)) : std::nullopt;
}

}  // namespace difftune
