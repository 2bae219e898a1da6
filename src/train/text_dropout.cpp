#include "train/text_dropout.h"

#include <ATen/TensorOperators.h>

#include <algorithm>

namespace difftune {
namespace {

void set_rows_to_zero(const std::vector<TextDropout::Part>& parts, const std::vector<int>& rows, Conditioning& text) {
  for (const auto& part : parts) {
    at::Tensor values = text.at(part.array).clone();
    const int64_t end = part.count ? part.first + *part.count : values.size(-1);
    for (const int row : rows) values[row].slice(-1, part.first, end).zero_();
    text[part.array] = values;
  }
}

}  // namespace

DroppedRows draw_dropped_rows(const std::vector<TextDropout>& dropouts, size_t num_rows,
                              const std::function<bool(int encoder)>& is_present,
                              const std::function<double()>& uniform) {
  DroppedRows dropped(dropouts.size());
  int last_round = 0;
  for (const auto& dropout : dropouts) last_round = std::max(last_round, dropout.round);
  for (int round = 0; round <= last_round; ++round) {
    for (size_t row = 0; row < num_rows; ++row) {
      for (size_t i = 0; i < dropouts.size(); ++i) {
        const TextDropout& dropout = dropouts[i];
        if (dropout.round != round || dropout.rate <= 0 || !is_present(dropout.encoder)) continue;
        if (uniform() < dropout.rate) dropped[i].push_back(static_cast<int>(row));
      }
    }
  }
  return dropped;
}

void drop_text(const std::vector<TextDropout>& dropouts, const DroppedRows& rows, Conditioning& text) {
  for (size_t i = 0; i < dropouts.size(); ++i) {
    if (!rows[i].empty()) set_rows_to_zero(dropouts[i].parts, rows[i], text);
  }
}

}  // namespace difftune
