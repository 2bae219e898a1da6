#include "weight_tools/precision.h"

#include <algorithm>
#include <array>

#include "base/error.h"

namespace difftune {
namespace {

struct Row {
  std::string_view name;
  c10::ScalarType dtype;
};
constexpr std::array kRows = {
    Row{"float", c10::ScalarType::Float},
    Row{"fp32", c10::ScalarType::Float},
    Row{"float32", c10::ScalarType::Float},
    Row{"fp16", c10::ScalarType::Half},
    Row{"float16", c10::ScalarType::Half},
    Row{"bf16", c10::ScalarType::BFloat16},
    Row{"bfloat16", c10::ScalarType::BFloat16},
    Row{"fp8", c10::ScalarType::Float8_e4m3fn},
    Row{"float8", c10::ScalarType::Float8_e4m3fn},
    Row{"fp8_e4m3fn", c10::ScalarType::Float8_e4m3fn},
    Row{"float8_e4m3fn", c10::ScalarType::Float8_e4m3fn},
    Row{"e4m3fn", c10::ScalarType::Float8_e4m3fn},
    Row{"fp8_e5m2", c10::ScalarType::Float8_e5m2},
    Row{"float8_e5m2", c10::ScalarType::Float8_e5m2},
    Row{"e5m2", c10::ScalarType::Float8_e5m2},
};

}  // namespace

c10::ScalarType parse_precision(const std::string& name, std::string_view option) {
  const auto row = std::find_if(kRows.begin(), kRows.end(), [&](const Row& r) { return r.name == name; });
  if (row != kRows.end()) return row->dtype;
  if (name.find("fnuz") != std::string::npos) {
    throw UsageError(fmt::format("{} {}: a safetensors file cannot hold it; use fp8_e4m3fn or fp8_e5m2", option, name));
  }
  throw UsageError(
      fmt::format("{} {}: unknown; use float, fp16, bf16, fp8_e4m3fn (also written fp8) or fp8_e5m2", option, name));
}

std::optional<c10::ScalarType> parse_precision(const std::optional<std::string>& name, std::string_view option) {
  return name ? std::optional(parse_precision(*name, option)) : std::nullopt;
}

}  // namespace difftune
