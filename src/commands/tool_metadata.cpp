#include "commands/tool_metadata.h"

#include <chrono>

#include "train/model_spec.h"
#include "weight_tools/checkpoint_output.h"
#include "weight_tools/tool_files.h"
#include "weights/model_hash.h"
#include "weights/open_weights.h"

namespace difftune {

std::string merged_from(const std::vector<std::string>& files) {
  std::string text;
  for (const std::string& file : files) {
    const auto source = open_weights(file);
    const auto title = source->metadata().find("modelspec.title");
    if (!text.empty()) text += ", ";
    text += title == source->metadata().end() ? title_of(file) : title->second;
  }
  return text;
}

Metadata tool_model_spec(const FamilyIdentity& identity, bool is_lora, const std::string& save_to,
                         const std::string& merged_from) {
  ModelSpec spec;
  spec.architecture = std::string(identity.architecture) + (is_lora ? "/lora" : "");
  spec.implementation = is_lora ? identity.lora_implementation : identity.checkpoint_implementation;
  spec.title = title_of(save_to);
  spec.kind = is_lora ? "LoRA" : "Checkpoint";
  spec.resolution = {identity.resolution_px, identity.resolution_px};
  if (!identity.prediction_type.empty()) spec.prediction_type = std::string(identity.prediction_type);
  MetadataOptions options;
  if (!merged_from.empty()) options.metadata_merged_from = merged_from;
  Metadata entries = model_spec_entries(spec, options);
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  add_time(spec, std::chrono::duration<double>(now).count(), entries);
  return entries;
}

Metadata network_entries(const NetworkFacts& facts) {
  Metadata entries = {
      {"ss_network_module", facts.module}, {"ss_network_dim", facts.dim}, {"ss_network_alpha", facts.alpha}};
  if (facts.v2) entries["ss_v2"] = *facts.v2;
  if (facts.base_model_version) entries["ss_base_model_version"] = *facts.base_model_version;
  if (facts.args) entries["ss_network_args"] = *facts.args;
  return entries;
}

std::optional<std::string> first_entry(const std::vector<const Metadata*>& metadata, const std::string& key) {
  for (const Metadata* entries : metadata) {
    if (const auto found = entries->find(key); found != entries->end()) return found->second;
  }
  return std::nullopt;
}

void write_lora(const std::string& save_to, const std::vector<NamedTensor>& tensors, std::optional<Metadata> metadata) {
  if (metadata) {
    const LoraHashes hashes = lora_hashes(tensors, *metadata);
    metadata->insert_or_assign("sshs_model_hash", hashes.sshs_model_hash);
    metadata->insert_or_assign("sshs_legacy_hash", hashes.sshs_legacy_hash);
  }
  std::vector<TensorRecipe> recipes;
  for (const auto& [name, tensor] : tensors) {
    recipes.push_back({{name, tensor.scalar_type(), tensor.sizes().vec()}, [tensor = tensor] { return tensor; }, {}});
  }
  write_checkpoint({.path = save_to, .metadata = std::move(metadata)}, recipes, "writing");
}

}  // namespace difftune
