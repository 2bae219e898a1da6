// Expected ids: transformers' CLIPTokenizer.from_pretrained of the same folders.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "corpus.h"
#include "text/clip_tokenizer.h"

namespace difftune {
namespace {

using nlohmann::json;
using Ids = std::vector<int32_t>;

std::string clip_merges() {
  std::string text = read_gzip(PROJECT_DIR "/assets/bpe_simple_vocab_16e6.txt.gz");
  size_t end = 0;
  for (int line = 0; line < 48895; ++line) end = text.find('\n', end) + 1;
  return text.substr(0, end);
}

// The vocabulary in its usual order: letters, letters that end a word, merges, BOS, EOS.
json clip_vocab(const std::string& merges) {
  std::vector<std::string> tokens;
  for (const bool printable : {true, false}) {
    for (int byte = 0; byte < 256; ++byte) {
      if (BytePairs::is_printable(byte) == printable) tokens.push_back(BytePairs::letter(static_cast<uint8_t>(byte)));
    }
  }
  for (int i = 0; i < 256; ++i) tokens.push_back(tokens[i] + "</w>");
  for (size_t at = merges.find('\n') + 1; at < merges.size();) {
    const size_t end = merges.find('\n', at);
    std::string pair = merges.substr(at, end - at);
    tokens.push_back(pair.erase(pair.find(' '), 1));
    at = end + 1;
  }
  tokens.insert(tokens.end(), {"<|startoftext|>", "<|endoftext|>"});
  json vocab = json::object();
  for (size_t id = 0; id < tokens.size(); ++id) vocab[tokens[id]] = id;
  return vocab;
}

class ClipTokenizerFolder : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / ("clip_tokenizer_folder_" + std::to_string(getpid()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    static const std::string merges = clip_merges();
    static const std::string vocab = clip_vocab(merges).dump();
    write("merges.txt", merges);
    write("vocab.json", vocab);
  }
  void TearDown() override { fs::remove_all(folder_); }

  void write(const char* name, std::string_view content) { write_file_atomically(folder_ / name, content); }
  Ids encode(std::string_view text) { return ClipTokenizer::from_folder(folder_).encode(text); }
  std::string error() {
    try {
      ClipTokenizer::from_folder(folder_);
    } catch (const UserError& error) {
      return error.what();
    }
    return "";
  }

  fs::path folder_;
};

TEST_F(ClipTokenizerFolder, EqualsTheBuiltinOne) {
  const auto tokenizer = ClipTokenizer::from_folder(folder_);
  EXPECT_EQ(tokenizer.pad_id(), 49407);
  const auto corpus = read_corpus(TEST_DATA_DIR "/text/clip_corpus.bin.gz");
  for (size_t i = 0; i < corpus.size(); i += 10) EXPECT_EQ(tokenizer.encode(corpus[i].text), corpus[i].ids);
}

TEST_F(ClipTokenizerFolder, ReadsPaddingOfSpecialTokensMap) {
  write("tokenizer_config.json", R"({"pad_token": "<|endoftext|>"})");
  write("special_tokens_map.json", R"({"pad_token": "!", "bos_token": {"content": "<|startoftext|>"}})");
  const auto tokenizer = ClipTokenizer::from_folder(folder_);
  EXPECT_EQ(tokenizer.pad_id(), 0);
  EXPECT_EQ(tokenizer.encode("hello! world!!"), (Ids{3306, 0, 1002, 0, 0}));
}

TEST_F(ClipTokenizerFolder, ReadsAddedTokens) {
  write("added_tokens.json", R"({"<s1>": 49408, "<s12>": 49409})");
  EXPECT_EQ(encode("a <s1>  b <s1>c"), (Ids{320, 49408, 321, 49408, 322}));
  EXPECT_EQ(encode("<s1><s12> <s2>"), (Ids{49408, 49409, 283, 338, 273, 285}));
}

TEST_F(ClipTokenizerFolder, ReadsAddedTokensDecoder) {
  write("tokenizer_config.json",
        R"({"pad_token": "!", "added_tokens_decoder": {"0": {"content": "!"}, "49408": {"content": "<s1>", "lstrip":
        true, "rstrip": true}, "49409": {"content": "[T]"}}})");
  EXPECT_EQ(encode("x [T] y[T]z"), (Ids{343, 49409, 344, 49409, 345}));
  EXPECT_EQ(encode("a <s1>  b!"), (Ids{320, 49408, 321, 0}));
}

TEST_F(ClipTokenizerFolder, GivesNewSpecialTokensNewIds) {
  write("special_tokens_map.json",
        R"({"additional_special_tokens": ["[T]", {"content": "<s1>", "lstrip": true}], "pad_token": "[PAD]"})");
  const auto tokenizer = ClipTokenizer::from_folder(folder_);
  EXPECT_EQ(tokenizer.pad_id(), 49408);
  EXPECT_EQ(tokenizer.encode("a <s1>  b [T]"), (Ids{320, 49410, 321, 49409}));
}

TEST_F(ClipTokenizerFolder, NamesTheBadFile) {
  write("vocab.json", R"({"a": 1, )");
  EXPECT_THAT(error(), testing::HasSubstr("vocab.json: not a JSON object"));
  write("vocab.json", R"({"a": "one"})");
  EXPECT_THAT(error(), testing::HasSubstr("vocab.json: the id of token 'a' is \"one\""));
  write("vocab.json", R"({"a": 1})");
  EXPECT_THAT(error(), testing::HasSubstr("vocab.json: the vocabulary has no token"));
  fs::remove(folder_ / "vocab.json");
  EXPECT_THAT(error(), testing::HasSubstr("vocab.json"));
}

TEST_F(ClipTokenizerFolder, NamesTheBadLineOfMerges) {
  write("merges.txt", "#version: 0.2\ni n\nthe\n");
  EXPECT_THAT(error(), testing::HasSubstr("merges.txt:3: 'the' is not a merge"));
  write("merges.txt", "#version: 0.2\ni n</w></w>\n");
  EXPECT_THAT(error(), testing::HasSubstr("no token 'n</w></w>'"));
}

TEST_F(ClipTokenizerFolder, RefusesJsonOfTheWrongKind) {
  for (const char* bad :
       {R"([])", R"({"added_tokens_decoder": 3})", R"({"added_tokens_decoder": {"x": "a"}})", R"({"bos_token": 5})",
        R"({"additional_special_tokens": 7})", R"({"pad_token": {"content": "!", "single_word": true}})"}) {
    write("tokenizer_config.json", bad);
    EXPECT_THAT(error(), testing::HasSubstr(folder_.string())) << bad;
  }
  fs::remove(folder_ / "tokenizer_config.json");
  write("tokenizer.json", R"({"added_tokens": ["<s1>"]})");
  EXPECT_THAT(error(), testing::HasSubstr("tokenizer.json: the id of token '<s1>'"));
}

}  // namespace
}  // namespace difftune
