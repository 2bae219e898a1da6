// LoRAs of any rank added up and cut down to one rank by their singular values.
#pragma once

#include "weight_tools/combine_loras.h"

namespace difftune {

struct SvdMergeRules {
  int64_t rank = 4, conv_rank = 4;  // conv_rank for kernels larger than 1x1
  MergeRules merge;
  bool exact = false;  // LAPACK's SVD of every sum
  c10::ScalarType save_dtype = c10::ScalarType::Float;
};

// The sum of the changes, each times its ratio, truncated: by the factors, side by side, with the signs that LAPACK
// gives the sum (lapack_signs.h), or by LAPACK where these are not told. The largest percent of the values is clamped,
// as sd-scripts does. Alphas are the ranks, as integers.
std::vector<NamedTensor> svd_merge(const std::vector<MergeInput>& inputs, const SvdMergeRules& rules);

// Clamps both factors to the quantile `q` of their signed values, above and below, which depends on the signs of the
// singular vectors: sd-scripts takes LAPACK's. 1 clamps nothing. (sd-scripts then clamps negative values to the largest
// positive one.)
void clamp_to_quantile(at::Tensor& up, at::Tensor& down, double q);

}  // namespace difftune
