#include "options/command_line.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/nearest_name.h"
#include "options/option_text.h"

namespace difftune {
namespace {

constexpr std::string_view kHelp = "help";

// What a word is. `option` is the position of an option, or specs().size() for --help.
struct Word {
  enum class Kind { value, option, unknown_option } kind = Kind::value;
  size_t option = 0;
  std::string name;                     // without dashes and "=..."
  std::optional<std::string> attached;  // what stands behind "="
};

bool is_list(const OptionSpec& spec) {
  return spec.kind() == ValueKind::text_list || spec.kind() == ValueKind::number_list;
}

class Parser {
 public:
  Parser(const OptionTable& table, std::span<const std::string> words) : table_(table), help_(table.specs().size()) {
    for (const std::string& word : words) {
      texts_.push_back(word);
      words_.push_back(classify(word));
    }
    for (size_t i = 0; i < table.specs().size(); ++i) {
      if (table.specs()[i].positional) positional_.push_back(i);
    }
  }

  CommandLine parse() {
    CommandLine result;
    for (size_t i = 0; i < words_.size();) {
      const Word& word = words_[i];
      if (word.kind == Word::Kind::unknown_option) refuse_unknown(word);
      if (word.kind == Word::Kind::value) {
        if (num_positional_ == positional_.size()) refuse_stray(texts_[i], result);
        const size_t option = positional_[num_positional_++];
        const OptionSpec& spec = table_.specs()[option];
        result.assignments.push_back({option, parse_word(spec, texts_[i++], spec.name), spec.name});
        continue;
      }
      if (word.option == help_) {
        result.help_wanted = true;
        return result;
      }
      result.assignments.push_back(take_option(i));
    }
    return result;
  }

 private:
  // The rules and their order are those of argparse, but any number may follow a minus sign, also -1e-4.
  Word classify(const std::string& word) const {
    if (word == "-h") return {Word::Kind::option, help_, std::string(kHelp), {}};
    if (word.size() < 2 || word[0] != '-') return {};
    if (word[1] == '-') {
      const size_t equals = word.find('=');
      const std::string name = word.substr(2, equals == std::string::npos ? equals : equals - 2);
      std::optional<std::string> attached;
      if (equals != std::string::npos) attached = word.substr(equals + 1);
      if (const auto option = find_name(name)) return {Word::Kind::option, *option, name, attached};
      if (word.find(' ') != std::string::npos) return {};
      return {Word::Kind::unknown_option, 0, name, attached};
    }
    if (word.size() == 2) {
      for (size_t i = 0; i < help_; ++i) {
        if (table_.specs()[i].letter == word[1]) return {Word::Kind::option, i, table_.specs()[i].name, {}};
      }
    }
    if (python_float(word) || word.find(' ') != std::string::npos) return {};
    return {Word::Kind::unknown_option, 0, word.substr(1), {}};
  }

  // The option of that name, or the only one whose name begins so.
  std::optional<size_t> find_name(const std::string& name) const {
    if (name == kHelp) return help_;
    if (const auto exact = table_.find(name); exact && !table_.specs()[*exact].positional) return exact;
    if (name.empty()) return std::nullopt;
    std::vector<size_t> matches;
    std::vector<std::string> match_names;
    for (size_t i = 0; i <= help_; ++i) {
      const std::string_view candidate = i == help_ ? kHelp : std::string_view(table_.specs()[i].name);
      if (!candidate.starts_with(name) || (i < help_ && table_.specs()[i].positional)) continue;
      matches.push_back(i);
      match_names.push_back("--" + std::string(candidate));
    }
    if (matches.size() > 1) {
      throw UsageError(fmt::format("--{} is the beginning of several options: {}", name, fmt::join(match_names, ", ")));
    }
    return matches.empty() ? std::nullopt : std::optional(matches[0]);
  }

  // Reads the option at word `i` with its values and moves `i` behind them.
  Assignment take_option(size_t& i) const {
    const Word& word = words_[i++];
    const OptionSpec& spec = table_.specs()[word.option];
    const std::string origin = "--" + spec.name;
    if (spec.kind() == ValueKind::flag) {
      if (word.attached) throw UsageError(fmt::format("{} takes no value, but got '{}'", origin, *word.attached));
      return {word.option, true, origin};
    }
    std::vector<std::string> values;
    if (word.attached) {
      values.push_back(*word.attached);
    } else {
      while (i < words_.size() && words_[i].kind == Word::Kind::value && (is_list(spec) || values.empty())) {
        values.push_back(texts_[i++]);
      }
    }
    if (is_list(spec)) return {word.option, parse_words(spec, values, origin), origin};
    if (values.empty()) {
      throw UsageError(fmt::format("{} needs a value ({}){}", origin, spec.placeholder(), why_no_value(i)));
    }
    return {word.option, parse_word(spec, values[0], origin), origin};
  }

  // A value that begins with a dash is taken for an option; say how to write it.
  std::string why_no_value(size_t i) const {
    if (i >= words_.size() || words_[i].kind != Word::Kind::unknown_option) return "";
    return fmt::format("; a value that begins with a dash is written --name={}", texts_[i]);
  }

  [[noreturn]] void refuse_unknown(const Word& word) const {
    const std::string near = nearest_name(word.name, table_.names());
    throw UsageError(fmt::format("unknown option --{}{}", word.name,
                                 near.empty() ? "; --help lists all options" : "; did you mean --" + near + "?"));
  }

  [[noreturn]] void refuse_stray(const std::string& text, const CommandLine& so_far) const {
    if (so_far.assignments.empty()) throw UsageError(fmt::format("'{}' belongs to no option; --help lists them", text));
    const OptionSpec& spec = table_.specs()[so_far.assignments.back().option];
    if (spec.positional) throw UsageError(fmt::format("'{}' is one word too many: {} was the last", text, spec.name));
    const char* takes = spec.kind() == ValueKind::flag ? "no value"
                        : is_list(spec)                ? "no more words after ="
                                                       : "one value";
    throw UsageError(fmt::format("'{}' belongs to no option: --{} takes {}", text, spec.name, takes));
  }

  const OptionTable& table_;
  size_t help_;
  std::vector<size_t> positional_;
  size_t num_positional_ = 0;  // those that have their word
  std::vector<std::string> texts_;
  std::vector<Word> words_;
};

}  // namespace

CommandLine parse_command_line(const OptionTable& table, std::span<const std::string> words) {
  return Parser(table, words).parse();
}

}  // namespace difftune
