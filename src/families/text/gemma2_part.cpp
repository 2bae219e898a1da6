#include "families/text/gemma2_part.h"

#include <cmath>

#include "base/error.h"
#include "families/checkpoint_shapes.h"
#include "text/tokenizer_files.h"

namespace difftune {
namespace {

constexpr const char* kFirstLayer = "layers.0.self_attn.";

// Shapes do not show the number of heads: Gemma 2 2B has four for keys and values, and the others are as large.
Gemma2Config read_config(const TensorSource& file) {
  Gemma2Config config;
  const std::string attention = kFirstLayer;
  config.vocabulary_size = size_of(file, "embed_tokens.weight", 0);
  config.hidden_size = size_of(file, "embed_tokens.weight", 1);
  config.intermediate_size = size_of(file, "layers.0.mlp.gate_proj.weight", 0);
  config.num_layers = count_numbered(file, "layers.");
  config.head_size = size_of(file, attention + "k_proj.weight", 0) / config.num_key_value_heads;
  if (config.head_size == 0) fail("{}: {}k_proj.weight has too few rows", file.path().string(), attention);
  config.num_heads = size_of(file, attention + "q_proj.weight", 0) / config.head_size;
  config.query_scale = 1 / std::sqrt(static_cast<double>(config.head_size));
  return config;
}

}  // namespace

NameMap gemma2_name_map(const std::string& checkpoint_prefix) {
  NameMap map(checkpoint_prefix);
  for (const char* key : {"embed_tokens.*", "layers.*", "norm.*"}) map.rule(key, key);
  map.ignore("lm_head.*");
  return map;
}

std::optional<Gemma2Part> find_gemma2(const std::shared_ptr<const TensorSource>& file) {
  for (const std::string prefix : {"", "model.", "text_encoders.gemma2_2b.transformer.model.", "text_encoder."}) {
    if (!file->contains(prefix + kFirstLayer + "q_proj.weight")) continue;
    Gemma2Part part{gemma2_name_map(prefix).to_model(file), {}};
    part.config = read_config(*part.tensors);
    return part;
  }
  return std::nullopt;
}

std::shared_ptr<const GemmaTokenizer> load_gemma_tokenizer(const std::optional<fs::path>& tokenizer_cache) {
  constexpr const char* kId = "google/gemma-2-2b";
  constexpr const char* kFile = "tokenizer.model";
  const auto file = find_tokenizer_file(kId, kFile, tokenizer_cache);
  if (!file) {
    fail(
        "Gemma's tokenizer is missing: {} of {} is neither in {} nor in the Hugging Face cache; get it from the "
        "model's "
        "page and put it into FOLDER/google_gemma-2-2b/ with --tokenizer_cache_dir FOLDER",
        kFile, kId,
        tokenizer_cache ? (*tokenizer_cache / "google_gemma-2-2b").string() : "a folder of --tokenizer_cache_dir");
  }
  return std::make_shared<const GemmaTokenizer>(GemmaTokenizer::from_file(*file));
}

}  // namespace difftune
