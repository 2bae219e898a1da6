#include "generate/picture_maker.h"

#include <algorithm>
#include <set>

#include "adapters/lora.h"
#include "base/error.h"
#include "base/log.h"
#include "nn/pooled_allocator.h"

namespace difftune {

PictureMaker::PictureMaker(std::unique_ptr<ModelFamily> family, std::vector<PictureLora> loras,
                           PictureMakerOptions options)
    : family_(std::move(family)), loras_(std::move(loras)), options_(std::move(options)) {
  for (const PictureLora& lora : loras_) stack_.add(lora.file, lora.multiplier);
}

at::Tensor PictureMaker::make_latents(const SamplePrompt& prompt) {
  use(Component::text_encoders);
  const Conditioning text = encode_prompt(*family_, prompt, TextBatch::Use::picture_prompt);
  use(Component::denoiser);
  return generate_latents(*family_, prompt, options_.how, &text);
}

Image PictureMaker::decode(const at::Tensor& latents) {
  use(Component::vae);
  return latents_to_image(*family_, latents);
}

void PictureMaker::use(Component part) {
  if (family_->is_loaded(part)) return;
  for (const Component other : {Component::text_encoders, Component::denoiser, Component::vae}) {
    if (other != part && options_.frees_parts) family_->unload(other);
  }
  nn::trim_pooled_memory();
  family_->load(part);
  add_loras(part);
}

void PictureMaker::add_loras(Component part) {
  if (loras_.empty() || part == Component::vae) return;
  const bool is_denoiser = part == Component::denoiser;
  const std::vector<AdapterTarget> all = family_->adapter_targets();
  std::vector<AdapterTarget> targets;
  for (const AdapterTarget& target : all) {
    if ((target.component == 0) == is_denoiser) targets.push_back(target);
  }
  if (options_.merges_loras) {
    for (const PictureLora& lora : loras_) {
      const auto dims = lora_dims(*lora.file);
      const bool has_part = std::any_of(targets.begin(), targets.end(),
                                        [&](const AdapterTarget& target) { return dims.contains(target.name); });
      if (has_part) merge_lora_into(*lora.file, targets, lora.multiplier);
    }
  } else {
    stack_.attach(targets);
  }
  // Text encoders came before, and stay in the list as structure.
  if (is_denoiser) report_loras(all);
}

void PictureMaker::report_loras(const std::vector<AdapterTarget>& targets) const {
  std::set<std::string> names;
  for (const AdapterTarget& target : targets) names.insert(target.name);
  for (const PictureLora& lora : loras_) {
    const std::string path = lora.file->path().string();
    const auto dims = lora_dims(*lora.file);
    size_t num_other = 0;
    std::string first_other;
    for (const auto& [name, dim] : dims) {
      if (names.contains(name)) continue;
      if (num_other++ == 0) first_other = name;
    }
    if (num_other == dims.size()) {
      fail("{}: none of its {} modules has a place in this model (the first is {})", path, num_other, first_other);
    }
    if (num_other > 0) {
      log::warning("{}: {} of {} modules have no place in this model and are left out (the first is {})", path,
                   num_other, dims.size(), first_other);
    }
    log::info("{}: {} modules {} with multiplier {}", path, dims.size() - num_other,
              options_.merges_loras ? "merged" : "applied", lora.multiplier);
  }
}

void PictureMaker::set_multipliers(std::span<const double> multipliers) {
  if (options_.merges_loras) fail("merged LoRAs keep their multipliers: leave out --merge_lora_weights");
  if (multipliers.size() != loras_.size()) {
    fail("{} multipliers for {} LoRAs: expected one for each", multipliers.size(), loras_.size());
  }
  for (size_t i = 0; i < multipliers.size(); ++i) stack_.set_multiplier(i, multipliers[i]);
}

}  // namespace difftune
