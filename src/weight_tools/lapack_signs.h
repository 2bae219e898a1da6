// The signs that LAPACK's SVD gives singular vectors, for a small part of its work.
#pragma once

#include "weight_tools/low_rank.h"

namespace difftune {

// A pair of singular vectors may change its sign, and sd-scripts clamps LoRAs by a rule that depends on it. What
// LAPACK's ?gesdd takes follows from the first steps of its bidiagonalisation and from the leading block of the
// bidiagonal matrix, as long as the leading vectors stand out; a few products with the matrix give both.
//
// Turns the pairs of `svd`, the leading ones of `matrix` [m, n] in fp32, to these signs. Returns false, and changes
// nothing, where the leading block does not tell (noise), or where that is no less work than LAPACK's.
// It follows Intel MKL's ?gesdd, which LibTorch calls on x86: QR first from m >= 1.5 n on, never LQ.
bool take_lapack_signs(const at::Tensor& matrix, TruncatedSvd& svd);

}  // namespace difftune
