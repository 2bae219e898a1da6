// Text to token ids, as CLIP's text encoders were trained: mended, lower-cased, split into words, byte pairs merged.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "text/byte_pairs.h"

namespace difftune {

// A piece of text that is one token wherever it stands in a prompt, before anything else looks at the text.
struct AddedToken {
  std::string text;
  int32_t id = 0;
  bool strip_left = false, strip_right = false;  // also takes the white space before it, behind it
};

// Gives the ids of the slow CLIPTokenizer of transformers 4.54 with ftfy 6.3 installed. Immutable, so threads may share
// one.
class ClipTokenizer {
 public:
  struct SpecialIds {
    int32_t bos, eos, pad;
  };
  ClipTokenizer(std::shared_ptr<const BytePairs> pairs, std::vector<AddedToken> added_tokens, SpecialIds special_ids);

  // The table of OpenAI's CLIP (49,408 tokens), which is part of the program; made at the first call. Pads with EOS, as
  // SD 1.x.
  static const ClipTokenizer& builtin();
  // The same as SD 2.x uses it: pads with "!" (id 0).
  static const ClipTokenizer& builtin_sd2();
  // The same as transformers loads it for SD 2.x: the padding token is a special one there, so that each "!" of a
  // prompt is a padding id instead of the word "!" (256). For --reference_quirks.
  static const ClipTokenizer& builtin_sd2_quirk();

  // A Hugging Face tokenizer folder: vocab.json and merges.txt, and those of tokenizer_config.json,
  // special_tokens_map.json, added_tokens.json and tokenizer.json that are there. Throws UserError that names the file.
  static ClipTokenizer from_folder(const fs::path& folder);

  // Ids without BOS and EOS, not cut. Throws UserError where `utf8` is not UTF-8 (encoded lone surrogates pass).
  std::vector<int32_t> encode(std::string_view utf8) const;

  int32_t bos_id() const { return special_ids_.bos; }
  int32_t eos_id() const { return special_ids_.eos; }
  int32_t pad_id() const { return special_ids_.pad; }

 private:
  void encode_piece(std::u32string_view piece, std::vector<int32_t>& ids) const;
  const AddedToken* added_token_at(std::string_view text) const;

  std::shared_ptr<const BytePairs> pairs_;
  std::vector<AddedToken> added_tokens_;  // longest first
  SpecialIds special_ids_;
};

}  // namespace difftune
