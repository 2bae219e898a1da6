// Reads what tests/data/text/make_sentencepiece.py wrote: strings, and the CRC-32 of the ids of each.
#pragma once

#include <zlib.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "base/error.h"
#include "corpus.h"
#include "text/token_row.h"

namespace difftune {

// The strings of CLIP's corpus that are UTF-8 without surrogates, then those for SentencePiece models.
inline std::vector<std::string> sentencepiece_corpus() {
  std::vector<std::string> texts;
  for (const auto& entry : read_corpus(TEST_DATA_DIR "/text/clip_corpus.bin.gz")) {
    try {
      require_utf8(entry.text);
      texts.push_back(entry.text);
    } catch (const UserError&) {
    }
  }
  const std::string data = read_gzip(TEST_DATA_DIR "/text/sentencepiece_corpus.bin.gz");
  for (size_t at = 0; at < data.size();) {
    uint32_t size = 0;
    std::memcpy(&size, data.data() + at, 4);
    texts.push_back(data.substr(at + 4, size));
    at += 4 + size;
  }
  return texts;
}

inline std::vector<uint32_t> read_sums(const std::string& name) {
  std::ifstream file(TEST_DATA_DIR "/text/ids_" + name + ".crc", std::ios::binary);
  const std::string bytes(std::istreambuf_iterator<char>(file), {});
  std::vector<uint32_t> sums(bytes.size() / 4);
  if (!sums.empty()) std::memcpy(sums.data(), bytes.data(), 4 * sums.size());
  return sums;
}

inline uint32_t sum_of(const std::vector<int32_t>& ids) {
  return static_cast<uint32_t>(
      crc32(0, reinterpret_cast<const Bytef*>(ids.data()), static_cast<uInt>(ids.size() * sizeof(int32_t))));
}

// Every string of the corpus has the ids whose sums the file holds.
template <typename Tokenizer>
void expect_ids_of_corpus(const Tokenizer& tokenizer, const std::string& name) {
  const auto texts = sentencepiece_corpus();
  const auto expected = read_sums(name);
  ASSERT_GE(texts.size(), 10'000u);
  ASSERT_EQ(texts.size(), expected.size());
  int num_different = 0;
  for (size_t i = 0; i < texts.size(); ++i) {
    if (sum_of(tokenizer.encode(texts[i])) == expected[i]) continue;
    if (++num_different <= 20) ADD_FAILURE() << "string " << i << ": '" << texts[i].substr(0, 200) << "'";
  }
  EXPECT_EQ(num_different, 0) << "of " << texts.size();
}

}  // namespace difftune
