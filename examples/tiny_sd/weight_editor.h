// Sets single weights of a new model by the paths of its parameters.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <string_view>

#include "nn/layer.h"

namespace difftune::tiny {

// Three channels in a row that a group norm of three channels a group lets a value s through: C + s, C - s and -2 C.
// Their mean is 0 whatever s is, and their deviation nearly sqrt(2) C. With two channels it would keep no more than a
// sign of a flat picture.
inline constexpr int64_t kGroup = 3;
inline constexpr double kOffset = 4;  // C; silu(C + s) is nearly C + s

class WeightEditor {
 public:
  explicit WeightEditor(const nn::ModelIndex& index) : index_(index) {}

  // Throws InternalError where there is none.
  at::Tensor parameter(std::string_view path) const;

  void clear(const std::string& layer) const;
  // Clears what an output channel takes in, and its bias.
  void clear_channel(const std::string& layer, int64_t out) const;
  // out = in at the same place.
  void pass(const std::string& layer, int64_t in, int64_t out, double factor = 1) const;
  // The three channels of group `signal` from channel `in`.
  void pass_as_group(const std::string& layer, int64_t in, int64_t signal) const;
  // Makes the norm leave the first channel of a group as C + s, and the convolution after it and silu read s from it.
  void read_group(const std::string& norm, const std::string& layer, int64_t signal, int64_t out) const;

 private:
  const nn::ModelIndex& index_;
};

}  // namespace difftune::tiny
