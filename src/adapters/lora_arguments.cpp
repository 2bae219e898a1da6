#include "adapters/lora_arguments.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "base/nearest_name.h"

namespace difftune {
namespace {

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const auto end = text.find(separator);
    parts.push_back(trimmed(text.substr(0, end)));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

// One argument and its value, with the conversions and their complaints.
struct Argument {
  std::string_view name, value;

  [[noreturn]] void refuse(const std::string& expected) const {
    throw UsageError(fmt::format("--network_args {}={}: expected {}", name, value, expected));
  }

  double number() const { return number_in(value); }
  double number_in(std::string_view text) const {
    double result = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), result);
    if (text.empty() || parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size()) refuse("a number");
    return result;
  }

  int64_t whole_in(std::string_view text) const {
    const double result = number_in(text);
    if (result < 0 || result != static_cast<double>(static_cast<int64_t>(result))) {
      refuse("a whole number of at least 0");
    }
    return static_cast<int64_t>(result);
  }
  int64_t whole() const { return whole_in(value); }

  double share() const {
    const double result = number();
    if (result < 0 || result >= 1) refuse("at least 0 and below 1");
    return result;
  }

  bool flag() const {
    if (value == "True" || value == "true" || value == "1") return true;
    if (value == "False" || value == "false" || value == "0") return false;
    refuse("True or False");
  }

  // "[4,2,0]" or "4,2,0".
  std::vector<int64_t> list(size_t count) const {
    std::string_view inner = trimmed(value);
    if (inner.starts_with('[') && inner.ends_with(']')) inner = inner.substr(1, inner.size() - 2);
    std::vector<int64_t> result;
    for (const auto part : split(inner, ',')) result.push_back(whole_in(part));
    if (result.size() != count) refuse(fmt::format("{} numbers, e.g. [4,4,4]", count));
    return result;
  }

  // "all", "none" or nothing, "0-3,7": which blocks, as a test of their number.
  LoraConfig::BlockRanges ranges() const {
    if (value == "all") return {{0, kMaxBlock}};
    if (value == "none" || value.empty()) return {};
    LoraConfig::BlockRanges result;
    for (const auto part : split(value, ',')) {
      const auto dash = part.find('-');
      const int64_t first = whole_in(trimmed(part.substr(0, dash)));
      const int64_t last = dash == std::string_view::npos ? first : whole_in(trimmed(part.substr(dash + 1)));
      if (first > last) refuse("ranges from low to high, e.g. 0-3,7");
      result.emplace_back(first, last);
    }
    return result;
  }

  // "regex=value,regex=value".
  template <typename Read>
  auto pairs(const Read& read) const {
    std::vector<std::pair<std::string, decltype(read(std::string_view()))>> result;
    for (const auto part : split(value, ',')) {
      if (part.empty()) continue;
      const auto equals = part.find('=');
      if (equals == std::string_view::npos) refuse("PATTERN=NUMBER pairs with commas between");
      result.emplace_back(trimmed(part.substr(0, equals)), read(trimmed(part.substr(equals + 1))));
    }
    return result;
  }

  static constexpr int64_t kMaxBlock = 1 << 20;
};

using Read = void (*)(const Argument&, LoraConfig&);

// The arguments that do not depend on the family, with the condition under which a module has them.
struct Common {
  std::string_view name;
  bool (*is_known)(const LoraArguments&);
  Read read;
};

constexpr auto always = [](const LoraArguments&) { return true; };

constexpr Common common[] = {
    {"conv_dim", [](const LoraArguments& a) { return a.has_conv; },
     [](const Argument& a, LoraConfig& c) {
       if (a.whole() < 1) a.refuse("a whole number of at least 1");
       c.conv_rank = a.whole();
     }},
    {"conv_alpha", [](const LoraArguments& a) { return a.has_conv; },
     [](const Argument& a, LoraConfig& c) { c.conv_alpha = a.number(); }},
    {"rank_dropout", always, [](const Argument& a, LoraConfig& c) { c.rank_dropout = a.share(); }},
    {"module_dropout", always, [](const Argument& a, LoraConfig& c) { c.module_dropout = a.share(); }},
    {"loraplus_lr_ratio", always, [](const Argument& a, LoraConfig& c) { c.plus_ratio = a.number(); }},
    {"loraplus_unet_lr_ratio", always, [](const Argument& a, LoraConfig& c) { c.denoiser_plus_ratio = a.number(); }},
    {"loraplus_text_encoder_lr_ratio", always,
     [](const Argument& a, LoraConfig& c) { c.text_encoder_plus_ratio = a.number(); }},
    {"split_qkv", [](const LoraArguments& a) { return a.has_split_qkv; },
     [](const Argument& a, LoraConfig& c) { c.splits_qkv = a.flag(); }},
    {"ggpo_sigma", [](const LoraArguments& a) { return a.has_ggpo; },
     [](const Argument& a, LoraConfig& c) { c.ggpo_sigma = a.number(); }},
    {"ggpo_beta", [](const LoraArguments& a) { return a.has_ggpo; },
     [](const Argument& a, LoraConfig& c) { c.ggpo_beta = a.number(); }},
    {"network_reg_dims", [](const LoraArguments& a) { return a.has_patterns; },
     [](const Argument& a, LoraConfig& c) {
       c.rank_by_pattern = a.pairs([&](std::string_view text) { return a.whole_in(text); });
     }},
    {"network_reg_lrs", [](const LoraArguments& a) { return a.has_patterns; },
     [](const Argument& a, LoraConfig& c) {
       c.rate_by_pattern = a.pairs([&](std::string_view text) { return a.number_in(text); });
     }},
    {"train_t5xxl", [](const LoraArguments& a) { return a.has_t5; },
     [](const Argument& a, LoraConfig& c) {
       if (a.flag()) c.rank_by_kind["t5"] = c.rank;
     }},
    {"verbose", [](const LoraArguments& a) { return a.module != "networks.lora"; },
     [](const Argument& a, LoraConfig& c) { c.is_verbose = a.flag(); }},
};

std::vector<std::string> names_of(const LoraArguments& known) {
  std::vector<std::string> names;
  for (const auto& argument : common) {
    if (argument.is_known(known)) names.emplace_back(argument.name);
  }
  for (const auto& rank : known.ranks) names.push_back(rank.name);
  for (const auto& blocks : known.blocks) names.push_back(blocks.name);
  if (!known.embedder_ranks.name.empty()) names.push_back(known.embedder_ranks.name);
  if (!known.train_blocks.empty()) names.emplace_back("train_blocks");
  return names;
}

bool read_own(const LoraArguments& known, const Argument& argument, LoraConfig& config) {
  for (const auto& rank : known.ranks) {
    if (rank.name != argument.name) continue;
    for (const auto& kind : rank.kinds) {
      if (rank.is_for_others) {
        config.other_rank_by_kind[kind] = argument.whole();
        continue;
      }
      const auto [entry, is_new] = config.rank_by_kind.try_emplace(kind, argument.whole());
      if (!is_new && !rank.gives_way) entry->second = argument.whole();
    }
    return true;
  }
  if (!known.embedder_ranks.name.empty() && known.embedder_ranks.name == argument.name) {
    const auto ranks = argument.list(known.embedder_ranks.kinds.size());
    for (size_t i = 0; i < ranks.size(); ++i) config.rank_by_kind[known.embedder_ranks.kinds[i]] = ranks[i];
    return true;
  }
  for (const auto& blocks : known.blocks) {
    if (blocks.name != argument.name) continue;
    config.blocks_by_group[blocks.group] = argument.ranges();
    return true;
  }
  if (known.train_blocks.empty() || argument.name != "train_blocks") return false;
  for (const auto& choice : known.train_blocks) {
    if (choice.value != argument.value) continue;
    config.groups = choice.groups;
    return true;
  }
  std::string values;
  for (const auto& choice : known.train_blocks) values += (values.empty() ? "" : ", ") + choice.value;
  argument.refuse("one of " + values);
}

}  // namespace

void read_lora_argument(const LoraArguments& known, std::string_view name, std::string_view value, LoraConfig& config) {
  const Argument argument{name, value};
  const bool may_be_empty =
      std::any_of(known.blocks.begin(), known.blocks.end(), [&](const auto& b) { return b.name == name; });
  if (value == "None" || (value.empty() && !may_be_empty)) return;
  for (const auto& one : common) {
    if (one.name != name || !one.is_known(known)) continue;
    one.read(argument, config);
    return;
  }
  if (read_own(known, argument, config)) return;
  for (const auto& [later, reason] : known.later) {
    if (later == name) throw UsageError(fmt::format("--network_args {}: {}", name, reason));
  }
  const std::string nearest = nearest_name(std::string(name), names_of(known));
  throw UsageError(fmt::format("--network_args {}: {} has no such argument{}", name, known.module,
                               nearest.empty() ? std::string() : fmt::format(" (did you mean {}?)", nearest)));
}

LoraArguments plain_lora_arguments() {
  LoraArguments known{.module = "networks.lora"};
  for (const char* name : {"block_dims", "block_alphas", "conv_block_dims", "conv_block_alphas", "down_lr_weight",
                           "mid_lr_weight", "up_lr_weight", "block_lr_zero_threshold"}) {
    known.later.emplace_back(name, "not available yet");
  }
  return known;
}

}  // namespace difftune
