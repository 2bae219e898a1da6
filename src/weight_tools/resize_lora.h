// A LoRA cut down to smaller ranks, chosen by its singular values.
#pragma once

#include <string>
#include <vector>

#include "weight_tools/adapter_file.h"

namespace difftune {

// How the rank of a module follows from its singular values s_1 ≥ s_2 ≥ …
enum class RankMethod {
  fixed,
  sv_ratio,       // those above s_1 / parameter
  sv_cumulative,  // as many as have this share of the sum
  sv_fro,         // as many as have this share of the Frobenius norm
};

struct ResizeRules {
  int64_t rank = 4, conv_rank = 4;  // the most that a dynamic method may choose; conv_rank for every convolution
  RankMethod method = RankMethod::fixed;
  double parameter = 0;
  c10::ScalarType save_dtype = c10::ScalarType::Float;
};

struct ResizedModule {
  std::string name;
  int64_t old_rank = 0, new_rank = 0;
  double new_alpha = 0;
  double sum_retained = 0, fro_retained = 0;  // shares of the sum of singular values and of the Frobenius norm
  double max_ratio = 0;                       // largest by smallest singular value that stays
};

struct ResizedLora {
  std::vector<NamedTensor> tensors;
  std::vector<ResizedModule> modules;  // in the file's order
  std::vector<std::string> untouched;  // modules that are no plain LoRA
};

// The rank that `method` asks for; `size` is min(out, in) of the layer. sd-scripts counts one more than its rule finds,
// and so does this.
int64_t choose_rank(const std::vector<double>& singular_values, int64_t size, int64_t max_rank, RankMethod method,
                    double parameter);

// Truncates every module; alpha / rank stays what it was. All keys of the file stay, in `save_dtype`.
ResizedLora resize_lora(const AdapterFile& file, const ResizeRules& rules);

}  // namespace difftune
