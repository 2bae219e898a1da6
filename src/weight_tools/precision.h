// The names of number formats in the options of the weight tools.
#pragma once

#include <c10/core/ScalarType.h>

#include <optional>
#include <string>
#include <string_view>

namespace difftune {

// "float", "fp32", "float32", "fp16", "float16", "bf16", "bfloat16", "fp8", "fp8_e4m3fn" and "fp8_e5m2". `option` is
// the one that gave the name, for the UsageError of an unknown one.
c10::ScalarType parse_precision(const std::string& name, std::string_view option);
std::optional<c10::ScalarType> parse_precision(const std::optional<std::string>& name, std::string_view option);

}  // namespace difftune
