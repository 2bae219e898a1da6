// The table of OpenAI's CLIP tokenizer, embedded in the program (assets/bpe_simple_vocab_16e6.txt.gz).
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "text/byte_pairs.h"

namespace difftune {

inline constexpr int32_t kClipBosId = 49406, kClipEosId = 49407;

// 256 bytes, 256 bytes that end a word, 48,894 merges; <|startoftext|> and <|endoftext|> close the vocabulary.
std::shared_ptr<const BytePairs> make_clip_byte_pairs();

// The same table as the files of a tokenizer's folder.
struct ClipTokenizerFiles {
  std::string vocab_json, merges_txt;
};
ClipTokenizerFiles make_clip_tokenizer_files();

}  // namespace difftune
