// The metadata that the weight tools write: modelspec.*, the few ss_* entries that loading needs, and hashes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "families/family_identity.h"
#include "weights/tensor_source.h"

namespace difftune {

// The titles of files, or their names where they have none, joined by commas.
std::string merged_from(const std::vector<std::string>& files);

// modelspec.* of a file made now, titled by its name. `merged_from` may be empty.
Metadata tool_model_spec(const FamilyIdentity& identity, bool is_lora, const std::string& save_to,
                         const std::string& merged_from);

// What is known of the network of a LoRA; ss_v2 and ss_base_model_version where they are.
struct NetworkFacts {
  std::optional<std::string> v2, base_model_version;
  std::string module = "networks.lora", dim, alpha;
  std::optional<std::string> args;  // JSON
};
Metadata network_entries(const NetworkFacts& facts);

// The first value of an entry among several files.
std::optional<std::string> first_entry(const std::vector<const Metadata*>& metadata, const std::string& key);

// Writes a LoRA, with its hashes added to `metadata` where it has any.
void write_lora(const std::string& save_to, const std::vector<NamedTensor>& tensors, std::optional<Metadata> metadata);

}  // namespace difftune
