// What Lumina-Image 2.0 is told by a text: Gemma 2's states. Source: Alpha-VLLM/Lumina-Image-2.0, train/encode.
#pragma once

#include <string>
#include <vector>

#include "families/model_family.h"
#include "families/text/gemma2_part.h"
#include "families/text/t5_part.h"

namespace difftune {

// The system prompt, the mark that ends it, and the caption. An empty system prompt leaves the caption as it is.
std::string lumina_prompt(const std::string& system_prompt, const std::string& caption);

// Rows of `max_length` tokens, filled up to a multiple of 8.
TokenTensors tokenize_lumina_text(const GemmaTokenizer& tokenizer, const std::vector<std::string>& prompts,
                                  int max_length);

// "hidden_state" [B, tokens, 2304], "input_ids" and "attention_mask" int64 [B, tokens].
Conditioning encode_lumina_text(const Gemma2& gemma, const TokenTensors& tokens, c10::Device device);

}  // namespace difftune
