// Gemma 2 as families use it: its file and its tokenizer.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "models/gemma2.h"
#include "text/gemma_tokenizer.h"
#include "weights/name_map.h"
#include "weights/tensor_source.h"

namespace difftune {

struct Gemma2Part {
  std::shared_ptr<const TensorSource> tensors;  // under the model's names
  Gemma2Config config;                          // read from their shapes; no cap of scores
};

// Model: "layers.0.self_attn.q_proj.weight". A head for tokens in the file is left out.
NameMap gemma2_name_map(const std::string& checkpoint_prefix = "");

// The model in a file of its own (keys with or without "model."), in an all-in-one checkpoint of Neta Lumina or in a
// Diffusers folder of Lumina 2; nothing where the file has none. Throws UserError where parts of it are missing.
std::optional<Gemma2Part> find_gemma2(const std::shared_ptr<const TensorSource>& file);

// The tokenizer.model of google/gemma-2-2b where text/tokenizer_files.h finds it. Throws UserError that says where to
// put it: its licence does not let it be part of the program.
std::shared_ptr<const GemmaTokenizer> load_gemma_tokenizer(const std::optional<fs::path>& tokenizer_cache);

}  // namespace difftune
