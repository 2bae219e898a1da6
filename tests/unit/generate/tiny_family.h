// The random SD model of tests/data/generate.
#pragma once

#include <ATen/ops/full_like.h>

#include <cmath>
#include <memory>

#include "families/family_table.h"

namespace difftune {

inline std::unique_ptr<ModelFamily> open_tiny_family(PredictionType prediction = PredictionType::epsilon,
                                                     c10::ScalarType dtype = c10::kFloat) {
  ModelRequest request;
  request.checkpoint = fs::path(TEST_DATA_DIR) / "generate/model";
  request.tokenizer_folder = fs::path(TEST_DATA_DIR) / "generate/tokenizer";
  request.dtype = dtype;
  request.vae_dtype = dtype;
  request.prediction = prediction;
  auto family = open_model(request, "train_network", false);
  for (const Component part : {Component::text_encoders, Component::vae, Component::denoiser}) family->load(part);
  return family;
}

// A family whose denoiser has gone astray.
class BrokenFamily final : public ModelFamily {
 public:
  explicit BrokenFamily(const ModelFamily& family) : family_(family) { info_ = family.info(); }
  Conditioning encode_text(const TextBatch& batch) const override { return family_.encode_text(batch); }
  at::Tensor encode_latents(const at::Tensor& images) const override { return family_.encode_latents(images); }
  at::Tensor decode_latents(const at::Tensor& latents) const override { return family_.decode_latents(latents); }
  at::Tensor denoise(const DenoiseInput& input) const override { return at::full_like(input.latents, std::nan("")); }
  std::vector<AdapterTarget> adapter_targets() const override { return {}; }

 protected:
  void read(Component) override {}
  void drop(Component) override {}

 private:
  const ModelFamily& family_;
};

}  // namespace difftune
