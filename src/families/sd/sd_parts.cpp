#include "families/sd/sd_parts.h"

#include <ATen/ops/empty.h>
#include <fmt/ranges.h>

#include <set>

#include "base/error.h"
#include "families/family_table.h"
#include "families/sd/sd_family.h"
#include "families/sd/sd_name_map.h"
#include "nn/parameter_scope.h"

namespace difftune {
namespace {

// Gives no values: looks whether a checkpoint has what a model is built of.
class PresenceReader : public nn::ParameterReader {
 public:
  explicit PresenceReader(const MappedSource& source) : source_(source) {}

  at::Tensor read(const std::string& path, at::IntArrayRef shape, nn::Init, int64_t) override {
    const TensorInfo info = source_.info(path);  // throws where it is missing
    if (info.shape != shape.vec() && !is_same_projection(info.shape, shape)) {
      fail("{}: tensor '{}' is {}, expected [{}]", source_.path().string(), source_.checkpoint_key(path),
           describe(info), fmt::join(shape, ", "));
    }
    seen_.insert(path);
    return at::empty({1}).expand(shape);
  }
  // Names that no model asked for.
  std::vector<std::string> rest() const {
    std::vector<std::string> names;
    for (const std::string& name : source_.keys()) {
      if (!seen_.contains(name)) names.push_back(name);
    }
    return names;
  }

 private:
  // A matrix may be a 1x1 convolution in the other layout.
  static bool is_same_projection(std::vector<int64_t> found, at::IntArrayRef expected) {
    if (found.size() == 2 && expected.size() == 4) found.insert(found.end(), {1, 1});
    return found == expected.vec();
  }

  const MappedSource& source_;
  std::set<std::string> seen_;
};

template <typename Model, typename Config>
void require_parts_of(const Config& config, const MappedSource& source) {
  PresenceReader reader(source);
  const Model model(config, reader);
  std::vector<std::string> unexpected = source.unexpected();
  for (const std::string& name : reader.rest()) unexpected.push_back(source.checkpoint_key(name));
  if (!unexpected.empty()) {
    fail("{}: {} tensors are not of this model, e.g. '{}'", source.path().string(), unexpected.size(), unexpected[0]);
  }
}

UNetLayout unet_layout(const SdConfig& config, bool has_matrix_projections) {
  UNetLayout layout;
  layout.level_has_attention.clear();
  for (const int64_t depth : config.unet.transformer_depth) layout.level_has_attention.push_back(depth > 0);
  layout.layers_per_block = static_cast<int>(config.unet.num_resnets_per_block);
  layout.has_matrix_projections = has_matrix_projections;
  return layout;
}

SdMaps ldm_maps(const SdConfig& config, bool has_matrix_projections) {
  return {sd_unet_name_map(unet_layout(config, has_matrix_projections)),
          sd_vae_name_map(static_cast<int>(config.vae.block_channels.size())),
          config.is_v2 ? open_clip_name_map(static_cast<int>(config.text.num_layers)) : clip_l_name_map()};
}

}  // namespace

SdMaps sd_maps(const SdConfig& config) {
  if (!config.is_diffusers) return ldm_maps(config, config.has_matrix_projections);
  return {NameMap("unet.").rule("*", "*"), diffusers_vae_name_map("vae."), clip_l_name_map("text_encoder.")};
}

SdMaps sd_ldm_maps(const SdConfig& config) { return ldm_maps(config, config.is_v2); }

SdParts open_sd_parts(std::shared_ptr<const TensorSource> checkpoint, std::optional<bool> says_v2) {
  for (const FamilyRow& row : family_table()) {
    if (!row.matches(*checkpoint)) continue;
    if (row.make == make_sd_family) break;
    fail("{}: this is {}, expected Stable Diffusion 1.x or 2.x", checkpoint->path().string(), row.name);
  }
  if (!is_sd1(*checkpoint) && !is_sd2(*checkpoint)) {
    fail("{}: is no checkpoint of Stable Diffusion 1.x or 2.x", checkpoint->path().string());
  }
  bool is_v2 = is_sd2(*checkpoint);
  if (says_v2 && *says_v2 != is_v2) {
    if (!checkpoint->contains("unet.conv_in.weight")) {
      throw UsageError(fmt::format("{}: is Stable Diffusion {}: leave out --{}", checkpoint->path().string(),
                                   is_v2 ? "2.x" : "1.x", is_v2 ? "v1" : "v2"));
    }
    is_v2 = *says_v2;
  }
  SdParts parts;
  parts.checkpoint = std::move(checkpoint);
  parts.config = read_sd_config(*parts.checkpoint, is_v2);
  const SdMaps maps = sd_maps(parts.config);
  parts.unet = maps.unet.to_model(parts.checkpoint);
  parts.vae = maps.vae.to_model(parts.checkpoint);
  parts.text = maps.text.to_model(parts.checkpoint);
  require_parts_of<UNet>(parts.config.unet, *parts.unet);
  require_parts_of<AutoencoderKL>(parts.config.vae, *parts.vae);
  require_parts_of<ClipText>(parts.config.text, *parts.text);
  return parts;
}

}  // namespace difftune
