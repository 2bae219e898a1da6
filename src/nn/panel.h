// Panels: some columns of a weight matrix, in fp32 and with adjacent columns, as a product reads them over and over.
// A weight is frozen and may be stored in half precision; making a panel is where it becomes fp32.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/BFloat16.h>

namespace difftune::nn {

// The right operand B [K, N] of a product, in place: element (k, n) is data[k × k_stride + n × n_stride]. One of the
// strides is 1.
struct PanelSource {
  const void* data = nullptr;
  c10::ScalarType dtype = c10::kFloat;  // fp32, fp16, bf16 or float8_e4m3fn
  int64_t k_stride = 0, n_stride = 1;

  // B = weight [K, N], or its transpose for weight [N, K]. The weight must outlive the source; on the CPU.
  static PanelSource of(const at::Tensor& weight);
  static PanelSource of_transposed(const at::Tensor& weight);
  // Whether a matrix can be read in place.
  static bool can_read(const at::Tensor& weight);
};

// to[k][n] = B[first_k + k][first_n + n] for num_k × num_n elements.
void pack_panel(const PanelSource& from, int64_t first_k, int64_t num_k, int64_t first_n, int64_t num_n, float* to);

// The same in bf16, with rows in pairs as the processor's bf16 instructions take them: to[(k / 2 × num_n + n) × 2 + k %
// 2]; an odd last row is paired with zeros. For values in bf16 or float8_e4m3fn, which bf16 holds exactly.
void pack_panel(const PanelSource& from, int64_t first_k, int64_t num_k, int64_t first_n, int64_t num_n,
                c10::BFloat16* to);

}  // namespace difftune::nn
