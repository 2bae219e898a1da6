#include "families/text/text_encoder_reader.h"

#include "families/checkpoint_reader.h"
#include "nn/float_type.h"

namespace difftune {

WeightForm parse_weight_form(std::string_view option, const std::string& name, c10::Device device) {
  for (const char* fp8 : {"fp8", "fp8_e4m3fn", "float8_e4m3fn"}) {
    if (name == fp8) return {c10::kBFloat16, /*is_fp8=*/true};
  }
  return {nn::parse_float_type(option, name, device)};
}

std::unique_ptr<nn::ParameterReader> make_text_encoder_reader(std::shared_ptr<const TensorSource> source,
                                                              const ModelRequest& request,
                                                              std::optional<WeightForm> form) {
  const auto chosen = form.value_or(WeightForm{request.dtype, request.has_fp8_text_encoders});
  return make_checkpoint_reader(std::move(source), chosen.dtype, request.device, {.is_fp8 = chosen.is_fp8});
}

}  // namespace difftune
