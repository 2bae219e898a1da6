#include "families/family_identity.h"

#include <algorithm>
#include <array>

#include "families/family_table.h"

namespace difftune {
namespace {

constexpr std::string_view kStability = "https://github.com/Stability-AI/generative-models";
constexpr std::string_view kFlux = "https://github.com/black-forest-labs/flux";
constexpr std::string_view kChroma = "https://huggingface.co/lodestones/Chroma";
constexpr std::string_view kLumina = "https://github.com/Alpha-VLLM/Lumina-Image-2.0";

constexpr FamilyIdentity kSd1{
    "Stable Diffusion 1.x", "stable-diffusion-v1", kStability, "diffusers", 512, "epsilon", "sd_v1"};
constexpr FamilyIdentity kSd1V{
    "Stable Diffusion 1.x", "stable-diffusion-v1", kStability, "diffusers", 512, "v", "sd_v1_v"};
constexpr FamilyIdentity kSd2{
    "Stable Diffusion 2.x", "stable-diffusion-v2-512", kStability, "diffusers", 512, "epsilon", "sd_v2"};
constexpr FamilyIdentity kSd2V{
    "Stable Diffusion 2.x", "stable-diffusion-v2-768-v", kStability, "diffusers", 768, "v", "sd_v2_v"};
constexpr FamilyIdentity kSchnell{"FLUX.1", "flux-1-schnell", kFlux, kFlux, 1024, "", "flux1", "networks.lora_flux"};

constexpr std::array kIdentities = {
    kSd1,
    kSd2V,  // whether a file of SD 2.x predicts noise or velocity cannot be seen; the reference takes velocity
    FamilyIdentity{"Stable Diffusion XL", "stable-diffusion-xl-v1-base", kStability, kStability, 1024, "epsilon",
                   "sdxl_base_v1-0"},
    FamilyIdentity{"FLUX.1", "flux-1-dev", kFlux, kFlux, 1024, "", "flux1", "networks.lora_flux"},
    FamilyIdentity{"Chroma", "chroma", kChroma, kChroma, 1024, "", "chroma", "networks.lora_flux"},
    FamilyIdentity{"Stable Diffusion 3", "stable-diffusion-3", kStability, "diffusers", 1024, "epsilon", "sd3",
                   "networks.lora_sd3"},
    FamilyIdentity{"Lumina-Image 2.0", "lumina-2", kLumina, kLumina, 1024, "epsilon", "lumina2",
                   "networks.lora_lumina"},
};

bool has_guidance(const TensorSource& checkpoint) {
  const auto keys = checkpoint.keys();
  return std::any_of(keys.begin(), keys.end(),
                     [](const std::string& key) { return key.ends_with("guidance_in.in_layer.weight"); });
}

}  // namespace

std::optional<FamilyIdentity> family_identity(std::string_view name) {
  for (const FamilyIdentity& identity : kIdentities) {
    if (identity.name == name) return identity;
  }
  return std::nullopt;
}

FamilyIdentity sd_identity(bool is_v2, bool predicts_velocity) {
  if (is_v2) return predicts_velocity ? kSd2V : kSd2;
  return predicts_velocity ? kSd1V : kSd1;
}

std::optional<FamilyIdentity> identify_checkpoint(const TensorSource& checkpoint) {
  for (const FamilyRow& row : family_table()) {
    if (!row.matches(checkpoint)) continue;
    const auto identity = family_identity(row.name);
    return identity && identity->name == kSchnell.name && !has_guidance(checkpoint) ? kSchnell : identity;
  }
  return std::nullopt;
}

}  // namespace difftune
