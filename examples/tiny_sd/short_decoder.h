// The decoder with some of its resnets left out, for a training that is several times as fast.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "models/autoencoder_kl.h"

namespace difftune::tiny {

// Uses the parameters of `vae`. Left out are the attention and the resnets where pictures are largest, which is where
// the time goes. The constructor makes each of them add nothing (its last layer becomes zero), so that the whole
// decoder computes the same.
class ShortDecoder {
 public:
  explicit ShortDecoder(const AutoencoderKL& vae);

  // What vae.decode(latents) gives.
  at::Tensor operator()(const at::Tensor& latents) const;

 private:
  at::Tensor parameter(const std::string& path) const;
  at::Tensor layer(const std::string& path, const at::Tensor& x) const;
  at::Tensor norm(const std::string& path, const at::Tensor& x) const;
  at::Tensor resnet(const std::string& path, const at::Tensor& x, bool is_kept = true) const;
  at::Tensor middle(const std::string& path, const at::Tensor& x) const;

  const AutoencoderKL& vae_;
};

}  // namespace difftune::tiny
