// T5 v1.1 as families use it: its file, its tokenizer, and its rows of ids as tensors.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/t5_encoder.h"
#include "text/t5_tokenizer.h"
#include "weights/name_map.h"
#include "weights/tensor_source.h"

namespace difftune {

struct T5Part {
  std::shared_ptr<const TensorSource> tensors;  // under the encoder's names
  T5EncoderConfig config;                       // read from their shapes
};

// Model: "encoder.block.0.layer.0.SelfAttention.q.weight", "shared.weight"; files call the second
// "encoder.embed_tokens.weight" as well, or only so. A decoder in the file is left out.
NameMap t5_name_map(const std::string& checkpoint_prefix = "");

// The encoder in a file of its own, in an all-in-one checkpoint of SD3 or in a Diffusers folder of FLUX or SD3; nothing
// where the file has none. Throws UserError where parts of it are missing.
std::optional<T5Part> find_t5(const std::shared_ptr<const TensorSource>& file);

// The user's spiece.model of google/t5-v1_1-xxl where text/tokenizer_files.h finds one, else the built-in table.
std::shared_ptr<const T5Tokenizer> load_t5_tokenizer(const std::optional<fs::path>& tokenizer_cache);

// Rows of ids and their mask, int64 [B, length] each.
struct TokenTensors {
  at::Tensor ids, mask;
};
TokenTensors stack_rows(const std::vector<TokenRow>& rows);

}  // namespace difftune
