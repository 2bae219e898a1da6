// A text encoder that works before it is trained: every position ends with the mean of the words before it.
#pragma once

#include <string>
#include <vector>

#include "models/clip_text.h"

namespace difftune::tiny {

// Sets the weights of a new `text` (one head) so that its first layer adds the mean of all tokens before a position to
// it, the padding left out, and the other layers add nothing at first. Without that the dozen words of a caption are
// lost among 65 positions of padding, and the U-Net takes long to find them. Each of `words`, one token each and no
// more than there are channels, gets a vector at right angles to those of the others.
void start_from_words(ClipText& text, const std::vector<std::string>& words);

}  // namespace difftune::tiny
