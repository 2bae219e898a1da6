// Number formats by the names that torch gives them, as options do.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <string>
#include <string_view>

namespace difftune::nn {

// "bfloat16" or "bf16" and so on. Throws UsageError that names the option for another name, and for float16 on a CPU.
c10::ScalarType parse_float_type(std::string_view option, const std::string& name, c10::Device device);

}  // namespace difftune::nn
