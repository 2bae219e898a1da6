// A U-Net that works a little before it is trained: it takes its input for the noise.
#pragma once

#include "models/unet.h"

namespace difftune::tiny {

// Sets the weights of a new `unet` (no attention on the first level, 96 channels there) so that it gives back its
// input, which at large timesteps is nearly the noise. Resnets and transformers add nothing at first, as in
// CompVis/latent-diffusion (zero_module). A picture is what is left when the noise is taken away: unless the noise is
// given back to a few percent, nothing is.
void start_as_copy(UNet& unet);

}  // namespace difftune::tiny
