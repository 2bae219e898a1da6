// ClipTokenizer::from_folder: what AutoTokenizer would read of a folder, for the slow class.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/error.h"
#include "text/clip_tokenizer.h"

namespace difftune {

namespace {

using nlohmann::json;
using Vocabulary = std::unordered_map<std::string_view, int32_t>;

// Merges behind these are not used, as in transformers.
constexpr size_t kMaxMerges = 49152 - 256 - 2;

constexpr const char* kSpecialNames[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                         "pad_token", "cls_token", "mask_token"};

json read_json_object(const fs::path& path) {
  json value = json::parse(read_file(path), nullptr, /*allow_exceptions=*/false);
  if (!value.is_object()) fail("{}: not a JSON object; the file may be cut off, copy it again", path.string());
  return value;
}

json read_optional(const fs::path& path) { return fs::exists(path) ? read_json_object(path) : json::object(); }

int32_t checked_id(const fs::path& path, std::string_view token, const json& id) {
  if (!id.is_number_integer() || id < 0 || id > INT32_MAX) {
    fail("{}: the id of token '{}' is {}, expected a whole number from 0", path.string(), token, id.dump());
  }
  return id.get<int32_t>();
}

// The lines behind the first, which names the version.
std::vector<BytePairs::Merge> parse_merges(const fs::path& path, std::string_view text) {
  constexpr std::string_view kSpaces = " \t\r\n";
  while (!text.empty() && kSpaces.find(text.back()) != kSpaces.npos) text.remove_suffix(1);
  std::vector<BytePairs::Merge> merges;
  size_t line_number = 1;
  for (size_t at = text.find('\n'); at != text.npos && merges.size() < kMaxMerges; ++line_number) {
    const size_t begin = at + 1;
    at = text.find('\n', begin);
    std::string_view line = text.substr(begin, (at == text.npos ? text.size() : at) - begin);
    if (line.ends_with('\r')) line.remove_suffix(1);
    const size_t space = line.find(' ');
    if (space == 0 || space >= line.size() - 1 || line.find(' ', space + 1) != line.npos) {
      fail("{}:{}: '{}' is not a merge, expected two tokens with a space between", path.string(), line_number + 1,
           line);
    }
    merges.emplace_back(line.substr(0, space), line.substr(space + 1));
  }
  return merges;
}

// The tokens of a folder's files besides the vocabulary, with the ids they get.
class AddedTokens {
 public:
  AddedTokens(fs::path folder, const Vocabulary& ids) : folder_(std::move(folder)), ids_(ids) {}

  void read() {
    json config = read_optional(folder_ / "tokenizer_config.json");
    if (config.contains("added_tokens_decoder")) {
      add_decoder(config["added_tokens_decoder"]);
    } else {
      config.update(read_optional(folder_ / "special_tokens_map.json"));
      add_legacy_files();
    }
    for (const char* name : kSpecialNames) {
      const auto value = config.find(name);
      if (value == config.end() || value->is_null()) continue;
      special_[name] = parse(*value).text;
      add_special(parse(*value));
    }
    for (const char* name : kSpecialNames) {
      if (special_.contains(name)) add_special({special_[name]});
    }
    for (const json& value : config.value("additional_special_tokens", json::array())) add_special(parse(value));
  }

  // "bos_token" and so on, as an id.
  int32_t special_id(const std::string& name) const {
    for (const AddedToken& token : tokens_) {
      if (token.text == special_.at(name)) return token.id;
    }
    fail("{}: no id for {} '{}'", folder_.string(), name, special_.at(name));
  }

  std::vector<AddedToken> take() { return std::move(tokens_); }

 private:
  void add_decoder(const json& decoder) {
    const fs::path path = folder_ / "tokenizer_config.json";
    if (!decoder.is_object()) fail("{}: added_tokens_decoder is not an object", path.string());
    for (const auto& [id, value] : decoder.items()) {
      AddedToken token = parse(value);
      token.id = checked_id(path, token.text, json::parse(id, nullptr, false));
      tokens_.push_back(std::move(token));
    }
  }

  void add_legacy_files() {
    const fs::path added = folder_ / "added_tokens.json", fast = folder_ / "tokenizer.json";
    const json added_tokens = read_optional(added);
    for (const auto& [text, id] : added_tokens.items()) tokens_.push_back({text, checked_id(added, text, id)});
    for (const json& value : read_optional(fast).value("added_tokens", json::array())) {
      AddedToken token = parse(value);
      token.id = checked_id(fast, token.text, value.is_object() ? value.value("id", json()) : json());
      std::erase_if(tokens_, [&](const AddedToken& other) { return other.id == token.id; });
      tokens_.push_back(std::move(token));
    }
  }

  // A token that is not in any list has its id in the vocabulary, or the next free one.
  void add_special(AddedToken token) {
    const auto same = [&](const AddedToken& other) { return other.text == token.text; };
    if (token.text.empty() || std::any_of(tokens_.begin(), tokens_.end(), same)) return;
    const auto found = ids_.find(token.text);
    token.id = found != ids_.end() ? found->second : next_free_id();
    tokens_.push_back(std::move(token));
  }

  int32_t next_free_id() const {
    auto id = static_cast<int32_t>(ids_.size());
    for (const AddedToken& token : tokens_) id = std::max(id, token.id + 1);
    return id;
  }

  AddedToken parse(const json& value) const {
    if (value.is_string()) return {value.get<std::string>()};
    if (!value.is_object() || !value.contains("content") || !value["content"].is_string()) {
      fail("{}: token {} in its .json files has no text", folder_.string(), value.dump());
    }
    const auto flag = [&](const char* name) { return value.value(name, json(false)) == json(true); };
    AddedToken token{value["content"].get<std::string>(), 0, flag("lstrip"), flag("rstrip")};
    if (flag("single_word")) {
      fail("{}: token '{}' has single_word, which difftune does not know; set it to false", folder_.string(),
           token.text);
    }
    return token;
  }

  fs::path folder_;
  const Vocabulary& ids_;
  std::vector<AddedToken> tokens_;
  std::unordered_map<std::string, std::string> special_{{"bos_token", "<|startoftext|>"},
                                                        {"eos_token", "<|endoftext|>"},
                                                        {"unk_token", "<|endoftext|>"},
                                                        {"pad_token", "<|endoftext|>"}};
};

std::shared_ptr<const BytePairs> make_pairs(const fs::path& folder, const Vocabulary& ids) {
  const fs::path path = folder / "merges.txt";
  const std::string text = read_file(path);
  const auto merges = parse_merges(path, text);
  try {
    return std::make_shared<const BytePairs>(merges, ids);
  } catch (const UserError& error) {
    fail("{}: {}", (folder / "vocab.json").string(), error.what());
  }
}

}  // namespace

ClipTokenizer ClipTokenizer::from_folder(const fs::path& folder) {
  const fs::path vocab_path = folder / "vocab.json";
  const json vocab = read_json_object(vocab_path);
  Vocabulary ids;
  ids.reserve(vocab.size());
  for (const auto& [token, id] : vocab.items()) ids.emplace(token, checked_id(vocab_path, token, id));
  AddedTokens added(folder, ids);
  added.read();
  const SpecialIds special{added.special_id("bos_token"), added.special_id("eos_token"), added.special_id("pad_token")};
  return ClipTokenizer(make_pairs(folder, ids), added.take(), special);
}

}  // namespace difftune
