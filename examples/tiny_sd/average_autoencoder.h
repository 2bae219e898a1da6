// An autoencoder that works before it is trained: latents are averages of colour, decoding gives them back as tiles.
#pragma once

#include "models/autoencoder_kl.h"

namespace difftune::tiny {

// Sets the weights of a new `vae` (widths 96, 64, 64, 96) so that latents are the mean red, green and blue of 8 x 8
// pixels and a difference of brightness along a diagonal inside them, and decoding gives the three colours back. All
// other channels of the decoder, and its resnets, keep the random weights that training starts from; each resnet adds
// nothing at first.
//
// A group norm of three channels keeps a value s where these are C + s, C - s and -2 C: their mean is 0 whatever s is,
// and their deviation nearly sqrt(2) C. With two channels it would keep no more than a sign of a flat picture.
void start_from_averages(AutoencoderKL& vae);

}  // namespace difftune::tiny
