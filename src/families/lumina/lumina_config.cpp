#include "families/lumina/lumina_config.h"

#include "base/error.h"
#include "families/checkpoint_shapes.h"

namespace difftune {
namespace {

constexpr const char* kFirstBlock = "context_refiner.0.attention.qkv.weight";

}  // namespace

std::string lumina_prefix(const TensorSource& s) {
  const std::string prefix = "model.diffusion_model.";
  return s.contains(prefix + kFirstBlock) ? prefix : "";
}

bool is_lumina(const TensorSource& s) { return s.contains(lumina_prefix(s) + kFirstBlock); }

NextDiTConfig read_lumina_config(const TensorSource& s, const std::string& prefix) {
  NextDiTConfig config;
  const std::string first = prefix + "context_refiner.0.";
  config.hidden_size = size_of(s, prefix + "x_embedder.weight", 0);
  config.in_channels = size_of(s, prefix + "x_embedder.weight", 1) / (config.patch_size * config.patch_size);
  config.mlp_size = size_of(s, first + "feed_forward.w1.weight", 0);
  config.num_layers = count_numbered(s, prefix + "layers.");
  config.num_refiners = count_numbered(s, prefix + "context_refiner.");
  config.caption_size = size_of(s, prefix + "cap_embedder.1.weight", 1);
  config.time_size = size_of(s, prefix + "t_embedder.mlp.0.weight", 0);
  const int64_t head = size_of(s, first + "attention.q_norm.weight", 0);
  if (config.hidden_size % head != 0 || head % 6 != 0) {
    fail("{}: {} features do not fall into attention heads of {} with three axes", s.path().string(),
         config.hidden_size, head);
  }
  config.num_heads = config.hidden_size / head;
  config.num_kv_heads = (size_of(s, first + "attention.qkv.weight", 0) / head - config.num_heads) / 2;
  return config;
}

}  // namespace difftune
