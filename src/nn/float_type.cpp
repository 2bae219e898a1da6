#include "nn/float_type.h"

#include <fmt/format.h>

#include "base/error.h"

namespace difftune::nn {

c10::ScalarType parse_float_type(std::string_view option, const std::string& name, c10::Device device) {
  if (name == "float32" || name == "fp32" || name == "float") return c10::kFloat;
  if (name == "bfloat16" || name == "bf16") return c10::kBFloat16;
  if (name == "float16" || name == "fp16") {
    if (device.is_cpu())
      throw UsageError(fmt::format("{} {}: needs a GPU: on a CPU use bfloat16 or float32", option, name));
    return c10::kHalf;
  }
  if (name.starts_with("fp8")) {
    throw UsageError(fmt::format(
        "{} {}: this part does not take it; with bfloat16 the fp8 weights of a file stay as they are", option, name));
  }
  throw UsageError(fmt::format("{} {}: expected float32, bfloat16 or float16", option, name));
}

}  // namespace difftune::nn
