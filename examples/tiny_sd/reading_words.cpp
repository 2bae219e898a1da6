#include "tiny_sd/reading_words.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/layer_norm.h>

#include <cmath>

#include "base/error.h"
#include "text/clip_tokenizer.h"
#include "tiny_sd/weight_editor.h"

namespace difftune::tiny {
namespace {

constexpr double kPositionFactor = 0.25;  // what a word is matters more here than where it stands
constexpr double kPaddingScore = -8;      // of attention; that of a word is about 0

// Gram-Schmidt, keeping the norm of each row.
void orthogonalise(const at::Tensor& table, const std::vector<int64_t>& rows) {
  for (size_t i = 0; i < rows.size(); ++i) {
    const at::Tensor row = table[rows[i]];
    const double norm = row.norm().item<double>();
    // Zero mean, so that the layer norm keeps the angles.
    row.sub_(row.mean());
    for (size_t k = 0; k < i; ++k) {
      const at::Tensor other = table[rows[k]];
      row.sub_(other * (row.dot(other) / other.dot(other)));
    }
    row.mul_(norm / row.norm().item<double>());
  }
}

}  // namespace

void start_from_words(ClipText& text, const std::vector<std::string>& words) {
  const int64_t size = text.config().hidden_size;
  DT_CHECK(text.config().num_heads == 1 && static_cast<int64_t>(words.size()) < size, "another text encoder");
  const at::NoGradGuard no_grad;
  const WeightEditor edit(text.index());
  const auto& tokenizer = ClipTokenizer::builtin();
  std::vector<int64_t> ids;
  for (const auto& word : words) {
    const auto tokens = tokenizer.encode(word);
    DT_CHECK(tokens.size() == 1, "'{}' is {} tokens", word, tokens.size());
    ids.push_back(tokens.front());
  }
  const at::Tensor table = edit.parameter("text_model.embeddings.token_embedding.weight");
  orthogonalise(table, ids);
  edit.parameter("text_model.embeddings.position_embedding.weight").mul_(kPositionFactor);
  for (int64_t layer = 0; layer < text.config().num_layers; ++layer) {
    const std::string path = "text_model.encoder.layers." + std::to_string(layer);
    edit.clear(path + ".self_attn.out_proj");
    edit.clear(path + ".mlp.fc2");
  }

  const std::string first = "text_model.encoder.layers.0.self_attn.";
  edit.clear(first + "q_proj");
  edit.clear(first + "k_proj");
  // Every query is one direction, which the keys of the padding point against; scores are divided by sqrt(size).
  const at::Tensor padding = at::layer_norm(table[tokenizer.pad_id()], {size});
  const double length = std::sqrt(static_cast<double>(size));  // of a vector after the norm
  edit.parameter(first + "q_proj.bias").copy_(padding);
  edit.parameter(first + "k_proj.weight").copy_(padding.outer(padding) * (kPaddingScore / (length * length * length)));
  for (const char* layer : {"v_proj", "out_proj"}) {
    edit.clear(first + layer);
    edit.parameter(first + layer + ".weight").copy_(at::eye(size));
  }
}

}  // namespace difftune::tiny
