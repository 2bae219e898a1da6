// An autoencoder that works before it is trained: latents are averages of colour, decoding gives them back as tiles.
#pragma once

#include "models/autoencoder_kl.h"

namespace difftune::tiny {

// Sets the weights of a new `vae` (widths 96, 64, 64, 96) so that latents are the mean red, green and blue of 8 x 8
// pixels and a difference of brightness along a diagonal inside them, and decoding gives the three colours back. All
// other channels of the decoder, and its resnets, keep the random weights that training starts from; each resnet adds
// nothing at first.
void start_from_averages(AutoencoderKL& vae);

// The means of vae.encode(pictures) for an encoder that start_from_averages set: [B, 4, H/8, W/8]. Far faster, because
// channels that reach no latent are left out.
at::Tensor average_latents(const AutoencoderKL& vae, const at::Tensor& pictures);

}  // namespace difftune::tiny
