// The leading singular values of a large matrix without its whole SVD.
#pragma once

#include "weight_tools/low_rank.h"

namespace difftune {

struct LeadingSvd {
  TruncatedSvd svd;
  double residual = 0;  // ||A - U s Vh|| / ||A||, in the Frobenius norm
  // At most this many times the residual of the exact truncated SVD, by the residuals of the singular vectors and as
  // far as fp32 tells what is left out.
  double excess = 1;
  bool is_exact = false;  // by exact_svd()
  bool differs = true;    // from zero
};

// The first `rank` singular values of a matrix [m, n] in fp32 with LAPACK's signs: by lapack_like_svd() (`seed` is for
// that), and by LAPACK where that finds none or `exact` asks for it.
LeadingSvd leading_svd(const at::Tensor& matrix, int64_t rank, uint64_t seed, bool exact = false);

}  // namespace difftune
