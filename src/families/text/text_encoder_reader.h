// A text encoder out of its file, as a request says.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "families/model_family.h"
#include "nn/parameter_scope.h"

namespace difftune {

// By the name of a dtype: "fp8" is for matrices in float8_e4m3fn that compute in bfloat16, the others are those of
// nn::parse_float_type().
WeightForm parse_weight_form(std::string_view option, const std::string& name, c10::Device device);

// `form` is how this encoder is kept; without it, as the request has it for all.
std::unique_ptr<nn::ParameterReader> make_text_encoder_reader(std::shared_ptr<const TensorSource> source,
                                                              const ModelRequest& request,
                                                              std::optional<WeightForm> form = std::nullopt);

}  // namespace difftune
