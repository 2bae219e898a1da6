// Captions that single text encoders do not say (--clip_l_dropout_rate …), drawn from the generator of the captions.
#pragma once

#include <functional>
#include <vector>

#include "families/model_family.h"

namespace difftune {

// The rows that are dropped, for each of the dropouts.
using DroppedRows = std::vector<std::vector<int>>;

// Draws one number in [0, 1) for each encoder that has a rate and is asked for by `is_present`, and each row, in the
// order that TextDropout has.
DroppedRows draw_dropped_rows(const std::vector<TextDropout>& dropouts, size_t num_rows,
                              const std::function<bool(int encoder)>& is_present,
                              const std::function<double()>& uniform);

// Sets to zero what the encoders say of their dropped rows.
void drop_text(const std::vector<TextDropout>& dropouts, const DroppedRows& rows, Conditioning& text);

}  // namespace difftune
