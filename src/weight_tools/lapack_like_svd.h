// Singular triples as LAPACK gives them, signs included, for a small part of its work.
#pragma once

#include <optional>

#include "weight_tools/low_rank.h"

namespace difftune {

struct LapackLikeSvd {
  TruncatedSvd svd;
  // The squares of the matrix's first values add up to this much more at most, by the residuals of the vectors.
  double missed = 0;
};

// A pair of singular vectors may change its sign, and sd-scripts clamps LoRAs by a rule that depends on it. What
// LAPACK's ?gesdd takes follows from its bidiagonalisation. The leading vectors lie in the first rows and columns of
// the bidiagonal matrix, also those of noise, and that block is made step by step with products of the matrix and a
// vector (Golub & Kahan 1965): it gives the triples as precisely as LAPACK does, and its divide and conquer goes the
// same way through it.
//
// The first `rank` triples of `matrix` [m, n] in fp32. nullopt where a block of half the smaller side does not hold
// them (many vectors; a matrix of lower rank), where a larger triple was not seen (`seed` is that of the vectors that
// look for it), where LAPACK's signs hang on its rounding (a matrix of low rank), or where the matrix is so small that
// LAPACK itself is as fast. It follows Intel MKL's ?gesdd, which LibTorch calls on x86: QR first from m >= 1.5 n on,
// never LQ.
std::optional<LapackLikeSvd> lapack_like_svd(const at::Tensor& matrix, int64_t rank, uint64_t seed);

// Turns the pairs of `svd`, the leading ones of `matrix`, to LAPACK's signs. Returns false, and changes nothing, where
// lapack_like_svd() gives none, or others.
bool take_lapack_signs(const at::Tensor& matrix, TruncatedSvd& svd);

}  // namespace difftune
