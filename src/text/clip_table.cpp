#include "text/clip_table.h"

#include <zlib.h>

#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"

extern "C" const unsigned char difftune_clip_table[], difftune_clip_table_end[];

namespace difftune {

namespace {

constexpr size_t kNumMerges = 49152 - 256 - 2;
constexpr size_t kUsedBytes = 640 << 10;  // the file goes on with merges that CLIP does not use

std::string unpack_used_part() {
  std::string text(kUsedBytes, '\0');
  z_stream stream{};
  constexpr int kGzip = 16 + MAX_WBITS;
  DT_CHECK(inflateInit2(&stream, kGzip) == Z_OK);
  stream.next_in = const_cast<unsigned char*>(difftune_clip_table);
  stream.avail_in = static_cast<uInt>(difftune_clip_table_end - difftune_clip_table);
  stream.next_out = reinterpret_cast<unsigned char*>(text.data());
  stream.avail_out = static_cast<uInt>(text.size());
  const int status = inflate(&stream, Z_SYNC_FLUSH);
  const size_t size = text.size() - stream.avail_out;
  inflateEnd(&stream);
  DT_CHECK(status == Z_OK && size == kUsedBytes, "the embedded CLIP table does not unpack: {}", status);
  return text;
}

// The lines behind the first, which names the file.
std::vector<BytePairs::Merge> parse_merges(std::string_view text) {
  std::vector<BytePairs::Merge> merges;
  merges.reserve(kNumMerges);
  for (size_t at = text.find('\n') + 1; merges.size() < kNumMerges;) {
    const size_t space = text.find(' ', at), end = text.find('\n', at);
    DT_CHECK(end != text.npos && space < end, "the embedded CLIP table is too short");
    merges.emplace_back(text.substr(at, space - at), text.substr(space + 1, end - space - 1));
    at = end + 1;
  }
  return merges;
}

// The alphabet's order in the vocabulary: printable bytes first.
std::vector<std::string> letters_in_order() {
  std::vector<std::string> printable, others;
  for (int byte = 0; byte < 256; ++byte) {
    const std::string letter = BytePairs::letter(static_cast<uint8_t>(byte));
    (BytePairs::is_printable(byte) ? printable : others).push_back(letter);
  }
  printable.insert(printable.end(), others.begin(), others.end());
  return printable;
}

// By id, without the two special ones at the end.
std::vector<std::string> tokens_in_order(const std::vector<BytePairs::Merge>& merges) {
  std::vector<std::string> tokens = letters_in_order();
  tokens.reserve(512 + merges.size());
  for (int i = 0; i < 256; ++i) tokens.push_back(tokens[i] + "</w>");
  for (const auto& [left, right] : merges) tokens.push_back(std::string(left).append(right));
  return tokens;
}

}  // namespace

ClipTokenizerFiles make_clip_tokenizer_files() {
  const std::string text = unpack_used_part();
  const auto merges = parse_merges(text);
  nlohmann::ordered_json vocabulary = nlohmann::ordered_json::object();
  auto& entries = vocabulary.get_ref<nlohmann::ordered_json::object_t&>();
  int32_t id = 0;
  // Behind the back of operator[], which would search the whole list for each.
  for (const std::string& token : tokens_in_order(merges)) entries.emplace_back(token, id++);
  entries.emplace_back("<|startoftext|>", kClipBosId);
  entries.emplace_back("<|endoftext|>", kClipEosId);
  ClipTokenizerFiles files{vocabulary.dump(-1, ' ', true), "#version: 0.2\n"};
  for (const auto& [left, right] : merges) files.merges_txt.append(left).append(" ").append(right).append("\n");
  return files;
}

std::shared_ptr<const BytePairs> make_clip_byte_pairs() {
  const std::string text = unpack_used_part();
  const auto merges = parse_merges(text);
  const std::vector<std::string> tokens = tokens_in_order(merges);
  std::unordered_map<std::string_view, int32_t> ids;
  ids.reserve(tokens.size());
  for (size_t id = 0; id < tokens.size(); ++id) ids.emplace(tokens[id], static_cast<int32_t>(id));
  return std::make_shared<const BytePairs>(merges, ids);
}

}  // namespace difftune
