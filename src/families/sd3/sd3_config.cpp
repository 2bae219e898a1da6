#include "families/sd3/sd3_config.h"

#include <fmt/format.h>

#include "base/error.h"
#include "families/checkpoint_shapes.h"

namespace difftune {
namespace {

constexpr const char* kFirstBlock = "joint_blocks.0.x_block.attn.qkv.weight";
constexpr int64_t kHeadSize = 64;

}  // namespace

std::string sd3_prefix(const TensorSource& s) {
  const std::string prefix = "model.diffusion_model.";
  return s.contains(prefix + kFirstBlock) ? prefix : "";
}

bool is_sd3(const TensorSource& s) { return s.contains(sd3_prefix(s) + kFirstBlock); }

MMDiTConfig read_sd3_config(const TensorSource& s, const std::string& prefix) {
  MMDiTConfig config;
  const std::string patches = prefix + "x_embedder.proj.weight", blocks = prefix + "joint_blocks.";
  config.hidden_size = size_of(s, patches, 0);
  config.in_channels = size_of(s, patches, 1);
  config.patch_size = size_of(s, patches, 2);
  config.context_size = size_of(s, prefix + "context_embedder.weight", 1);
  config.vector_size = size_of(s, prefix + "y_embedder.mlp.0.weight", 1);
  config.num_positions = size_of(s, prefix + "pos_embed", 1);
  config.num_blocks = count_numbered(s, blocks);
  config.mlp_size = size_of(s, blocks + "0.x_block.mlp.fc1.weight", 0);
  const std::string norm = blocks + "0.x_block.attn.ln_k.weight";
  config.has_qk_norm = s.contains(norm);
  const int64_t head = config.has_qk_norm ? size_of(s, norm, 0) : kHeadSize;
  if (config.hidden_size % head != 0) {
    fail("{}: {} features do not fall into attention heads of {}", s.path().string(), config.hidden_size, head);
  }
  config.num_heads = config.hidden_size / head;
  for (int64_t i = 0; i < config.num_blocks; ++i) {
    config.has_self_attention.push_back(s.contains(fmt::format("{}{}.x_block.attn2.qkv.weight", blocks, i)));
  }
  return config;
}

}  // namespace difftune
