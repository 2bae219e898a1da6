// Pictures from an opened model, one prompt after another, with LoRAs: what the inference commands do.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "adapters/lora_stack.h"
#include "generate/text_to_image.h"

namespace difftune {

struct PictureLora {
  std::shared_ptr<const TensorSource> file;
  double multiplier = 1;
};

struct PictureMakerOptions {
  // Adds LoRAs to the weights; else they compute beside the layers, and their multipliers can be changed.
  bool merges_loras = false;
  // Gives each part's memory back before the next one is loaded; else parts stay for the next picture.
  bool frees_parts = true;
  GenerateOptions how = {};
};

class PictureMaker {
 public:
  // No part of the model is loaded yet.
  PictureMaker(std::unique_ptr<ModelFamily> family, std::vector<PictureLora> loras, PictureMakerOptions options);

  const ModelFamily& family() const { return *family_; }
  GenerateOptions& how() { return options_.how; }

  // Scaled latents, and the picture of such. Throw UserError, also where none of a LoRA's modules belongs to the model.
  at::Tensor make_latents(const SamplePrompt& prompt);
  Image decode(const at::Tensor& latents);
  Image make(const SamplePrompt& prompt) { return decode(make_latents(prompt)); }

  // One for each LoRA. Throws UserError for another number, and for merged ones.
  void set_multipliers(std::span<const double> multipliers);

 private:
  void use(Component part);
  void add_loras(Component part);
  void report_loras(const std::vector<AdapterTarget>& targets) const;

  std::unique_ptr<ModelFamily> family_;
  std::vector<PictureLora> loras_;
  PictureMakerOptions options_;
  LoraStack stack_;
};

}  // namespace difftune
