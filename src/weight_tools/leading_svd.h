// The leading singular values of a large matrix without its whole SVD.
#pragma once

#include "weight_tools/low_rank.h"

namespace difftune {

struct LeadingSvd {
  TruncatedSvd svd;
  double residual = 0;  // ||A - U s Vh|| / ||A||, in the Frobenius norm
  // At most this many times the residual of the exact truncated SVD (by the residuals of the singular vectors, and as
  // far as fp32 tells what is left out).
  double excess = 1;
  bool is_exact = false;        // by exact_svd()
  bool has_lapack_signs = false;  // its vectors are those that LAPACK gives
};

// The first `rank` singular values of a matrix [m, n] in fp32: by LAPACK where that is as fast or `exact` asks for it;
// by lapack_like_svd() where that finds them; else by block Krylov iteration from a random start (`seed`): a range
// finder whose power iterations all count (Musco & Musco, arXiv:1504.05477), as block Golub-Kahan bidiagonalisation
// with full reorthogonalisation. That ends when ||A - U s Vh|| is at most 1.0005 times the smallest there is; where no
// singular value stands out, other matrices of this rank do as well.
LeadingSvd leading_svd(const at::Tensor& matrix, int64_t rank, uint64_t seed, bool exact = false);

}  // namespace difftune
