// Captions that single text encoders do not say (--clip_l_dropout_rate …), drawn from the generator of the captions.
#pragma once

#include <functional>
#include <vector>

#include "families/model_family.h"

namespace difftune {

// Sets to zero what the dropped encoders say, and draws one number in [0, 1) for each encoder with a rate and each row,
// in the order that TextDropout has. Encoders whose arrays `text` lacks are left out.
void drop_text(const std::vector<TextDropout>& dropouts, const std::function<double()>& uniform, Conditioning& text);

// Draws as many numbers as drop_text() takes for rows of what the encoders say that `is_present` names.
void draw_text_dropouts(const std::vector<TextDropout>& dropouts, size_t num_rows,
                        const std::function<bool(int encoder)>& is_present, const std::function<double()>& uniform);

}  // namespace difftune
