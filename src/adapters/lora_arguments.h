// The arguments (--network_args NAME=VALUE) that a LoRA module takes for one family of models, as data.
//
// A family names its layers by kind ("img_attn") and by numbered groups of blocks ("double_blocks"); a table says which
// argument gives which kind a rank of its own, and which picks blocks. Arguments that every LoRA has are read by all.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "adapters/lora.h"

namespace difftune {

struct LoraArguments {
  std::string module;  // "networks.lora_flux"

  // An argument that gives kinds of layers their rank; 0 leaves them out.
  struct Rank {
    std::string name;
    std::vector<std::string> kinds;
    bool gives_way = false;      // to other arguments that name the same kinds
    bool is_for_others = false;  // replaces the rank of kinds to which another argument gave one
  };
  std::vector<Rank> ranks = {};
  // An argument that lists ranks for kinds that have no LoRA without it, e.g. in_dims=[4,2,2,2,4]; empty: none.
  Rank embedder_ranks = {};
  // An argument that picks blocks of a group by number: "all", "none", "0-3,7".
  struct Blocks {
    std::string name, group;
  };
  std::vector<Blocks> blocks = {};
  // The values of train_blocks and the groups that each of them trains; the first is the default. Embedders that have a
  // rank are not asked.
  struct Choice {
    std::string value;
    std::vector<std::string> groups;
  };
  std::vector<Choice> train_blocks = {};
  bool has_conv = true;        // conv_dim, conv_alpha
  bool has_split_qkv = false;  // split_qkv
  bool has_ggpo = false;       // ggpo_sigma, ggpo_beta
  bool has_patterns = false;   // network_reg_dims, network_reg_lrs
  bool has_t5 = false;         // train_t5xxl, which gives layers of the kind "t5" the network's rank
  bool logs_gradient_norms = false;
  bool lists_text_rates = false;  // the metadata has --text_encoder_lr as a list
  // Arguments of the module that are known and not available, with what to do instead.
  std::vector<std::pair<std::string, std::string>> later = {};
};

// Reads one argument into `config`. Throws UsageError for one that the module does not have (with the nearest name), a
// value of another kind, or one that is not available.
void read_lora_argument(const LoraArguments& known, std::string_view name, std::string_view value, LoraConfig& config);

// The arguments of networks.lora on SD 1.x, 2.x and SDXL.
LoraArguments plain_lora_arguments();

}  // namespace difftune
