#include "families/text/t5_part.h"

#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include "families/checkpoint_shapes.h"
#include "text/tokenizer_files.h"

namespace difftune {
namespace {

constexpr const char* kFirstBlock = "encoder.block.0.layer.0.SelfAttention.";

// Under the model's names.
T5EncoderConfig read_config(const TensorSource& file) {
  T5EncoderConfig config;
  const std::string attention = kFirstBlock, bias = attention + "relative_attention_bias.weight";
  config.vocabulary_size = size_of(file, "shared.weight", 0);
  config.hidden_size = size_of(file, "shared.weight", 1);
  config.intermediate_size = size_of(file, "encoder.block.0.layer.1.DenseReluDense.wi_0.weight", 0);
  config.num_layers = count_numbered(file, "encoder.block.");
  config.num_distance_buckets = size_of(file, bias, 0);
  config.num_heads = size_of(file, bias, 1);
  config.head_size = size_of(file, attention + "q.weight", 0) / config.num_heads;
  return config;
}

}  // namespace

NameMap t5_name_map(const std::string& checkpoint_prefix) {
  NameMap map(checkpoint_prefix);
  map.rule("shared.weight", "shared.weight");
  map.alias("shared.weight", "encoder.embed_tokens.weight");
  map.rule("encoder.*", "encoder.*");
  for (const char* key : {"decoder.*", "lm_head.*", "logit_scale"}) map.ignore(key);
  return map;
}

std::optional<T5Part> find_t5(const std::shared_ptr<const TensorSource>& file) {
  for (const std::string prefix : {"", "text_encoders.t5xxl.transformer.", "text_encoder_2.", "text_encoder_3."}) {
    if (!file->contains(prefix + kFirstBlock + "q.weight")) continue;
    T5Part part{t5_name_map(prefix).to_model(file), {}};
    part.config = read_config(*part.tensors);
    return part;
  }
  return std::nullopt;
}

std::shared_ptr<const T5Tokenizer> load_t5_tokenizer(const std::optional<fs::path>& tokenizer_cache) {
  if (const auto file = find_tokenizer_file("google/t5-v1_1-xxl", "spiece.model", tokenizer_cache)) {
    return std::make_shared<const T5Tokenizer>(T5Tokenizer::from_file(*file));
  }
  return {std::shared_ptr<void>(), &T5Tokenizer::builtin()};
}

TokenTensors stack_rows(const std::vector<TokenRow>& rows) {
  std::vector<at::Tensor> ids, masks;
  for (const TokenRow& row : rows) {
    ids.push_back(at::tensor(row.ids).to(at::kLong));
    masks.push_back(at::tensor(row.mask).to(at::kLong));
  }
  return {at::stack(ids), at::stack(masks)};
}

}  // namespace difftune
