// What a module of an adapter file does to a weight.
//
// Sources: LoRA arXiv:2106.09685; DoRA arXiv:2402.09353; LoHa arXiv:2108.06098 and LoKr as LyCORIS stores them
// (arXiv:2309.14859); OFT arXiv:2306.07280 with the constraint of its COFT variant.
#pragma once

#include <ATen/core/Tensor.h>

#include "weight_tools/adapter_file.h"

namespace difftune {

// The change of a weight seen as a matrix, [out, in] or [out, in·k·k]: `scale` times up · down, or times `whole`.
struct WeightChange {
  at::Tensor up, down;   // [out, r] and [r, columns], or undefined
  at::Tensor whole;      // [out, columns], or undefined
  at::Tensor magnitude;  // DoRA: the norms that the changed weight gets, [out] or [in]; else undefined
  at::Tensor rotation;   // OFT: block-diagonal, [blocks, size, size]; else undefined
  double scale = 1;      // alpha / rank

  bool is_low_rank() const { return up.defined() && !magnitude.defined(); }
};

// Throws UserError where the module does not fit rows × (columns) of a weight; both shapes and both keys are named.
void check_fits(const AdapterFile& file, const AdapterModule& module, const std::string& weight_key, int64_t rows,
                const std::vector<int64_t>& weight_shape);

// Reads a module in `dtype`; `rows` are those of its weight.
WeightChange read_change(const AdapterFile& file, const AdapterModule& module, int64_t rows, c10::ScalarType dtype);

// Rows of a low-rank change: `product` times `first`, then times `second`. Each multiplication rounds.
struct ScaledProduct {
  at::Tensor product;  // [rows, columns], contiguous
  double first = 1, second = 1;
};

// `ratio` times rows [first_row, first_row + num_rows) of a change that is low-rank, in the operations and the order of
// sd-scripts, so that fp32 results agree with it.
ScaledProduct low_rank_product(const WeightChange& change, double ratio, int64_t first_row, int64_t num_rows);

// Adds that to `weight` [num_rows, columns], in place and in the weight's dtype.
void add_low_rank(const WeightChange& change, double ratio, int64_t first_row, at::Tensor weight);

// Applies any change to the whole of `weight` [out, in, …], in place.
void apply_change(const WeightChange& change, double ratio, at::Tensor weight);

}  // namespace difftune
