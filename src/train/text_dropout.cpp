#include "train/text_dropout.h"

#include <ATen/TensorOperators.h>

#include <algorithm>

namespace difftune {
namespace {

// Calls visit(dropout, row) for every number that is drawn, in order.
template <typename IsPresent, typename Visit>
void for_each_draw(const std::vector<TextDropout>& dropouts, size_t num_rows, const IsPresent& is_present,
                   const Visit& visit) {
  int last_round = 0;
  for (const auto& dropout : dropouts) last_round = std::max(last_round, dropout.round);
  for (int round = 0; round <= last_round; ++round) {
    for (size_t row = 0; row < num_rows; ++row) {
      for (size_t i = 0; i < dropouts.size(); ++i) {
        if (dropouts[i].round == round && dropouts[i].rate > 0 && is_present(dropouts[i])) visit(i, row);
      }
    }
  }
}

void set_rows_to_zero(const std::vector<TextDropout::Part>& parts, const std::vector<int>& rows, Conditioning& text) {
  for (const auto& part : parts) {
    at::Tensor values = text.at(part.array).clone();
    const int64_t end = part.count ? part.first + *part.count : values.size(-1);
    for (const int row : rows) values[row].slice(-1, part.first, end).zero_();
    text[part.array] = values;
  }
}

}  // namespace

void drop_text(const std::vector<TextDropout>& dropouts, const std::function<double()>& uniform, Conditioning& text) {
  if (text.empty()) return;
  std::vector<std::vector<int>> dropped(dropouts.size());
  for_each_draw(
      dropouts, static_cast<size_t>(text.begin()->second.size(0)),
      [&](const TextDropout& dropout) { return text.count(dropout.parts.front().array) > 0; },
      [&](size_t i, size_t row) {
        if (uniform() < dropouts[i].rate) dropped[i].push_back(static_cast<int>(row));
      });
  for (size_t i = 0; i < dropouts.size(); ++i) {
    if (!dropped[i].empty()) set_rows_to_zero(dropouts[i].parts, dropped[i], text);
  }
}

void draw_text_dropouts(const std::vector<TextDropout>& dropouts, size_t num_rows,
                        const std::function<bool(int encoder)>& is_present, const std::function<double()>& uniform) {
  for_each_draw(
      dropouts, num_rows, [&](const TextDropout& dropout) { return is_present(dropout.encoder); },
      [&](size_t, size_t) { uniform(); });
}

}  // namespace difftune
