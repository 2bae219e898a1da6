// Names of dtypes as people write them in options.
#pragma once

#include <c10/core/ScalarType.h>

#include <optional>
#include <string>
#include <string_view>

namespace difftune {

// "fp16", "float16", "bf16", "bfloat16", "float", "fp32", "float32", "fp8" and "fp8_e4m3fn", "fp8_e5m2" (and other
// spellings of these two). Throws UsageError that names `option` for anything else.
c10::ScalarType parse_precision(const std::string& name, std::string_view option);
std::optional<c10::ScalarType> parse_precision(const std::optional<std::string>& name, std::string_view option);

}  // namespace difftune
