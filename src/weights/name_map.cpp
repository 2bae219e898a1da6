#include "weights/name_map.h"

#include <algorithm>
#include <cctype>

#include "base/error.h"

namespace difftune {

NameTemplate::NameTemplate(std::string_view text) : text_(text) {
  if (text.ends_with('*')) {
    has_rest_ = true;
    text.remove_suffix(1);
  }
  for (size_t at; (at = text.find("{}")) != std::string_view::npos; text.remove_prefix(at + 2)) {
    literals_.emplace_back(text.substr(0, at));
  }
  literals_.emplace_back(text);
}

std::optional<std::vector<std::string_view>> NameTemplate::match(std::string_view name) const {
  std::vector<std::string_view> wildcards;
  for (size_t i = 0; i < literals_.size(); ++i) {
    if (i > 0) {
      const auto is_digit = [](unsigned char c) { return std::isdigit(c) != 0; };
      const size_t length = std::find_if_not(name.begin(), name.end(), is_digit) - name.begin();
      if (length == 0) return std::nullopt;
      wildcards.push_back(name.substr(0, length));
      name.remove_prefix(length);
    }
    if (!name.starts_with(literals_[i])) return std::nullopt;
    name.remove_prefix(literals_[i].size());
  }
  if (has_rest_ == name.empty()) return std::nullopt;
  if (has_rest_) wildcards.push_back(name);
  return wildcards;
}

std::string NameTemplate::fill(const std::vector<std::string_view>& wildcards) const {
  DT_CHECK(wildcards.size() == num_wildcards(), "'{}' filled with {} wildcards", text_, wildcards.size());
  std::string name = literals_[0];
  for (size_t i = 1; i < literals_.size(); ++i) name.append(wildcards[i - 1]).append(literals_[i]);
  if (has_rest_) name += wildcards.back();
  return name;
}

NameMap& NameMap::add(Rule::Kind kind, std::string_view model, std::string_view checkpoint, Transform transform) {
  rules_.push_back({kind, NameTemplate(model), NameTemplate(checkpoint), transform});
  const Rule& rule = rules_.back();
  DT_CHECK(kind == Rule::Kind::ignored || (rule.model.num_wildcards() == rule.checkpoint.num_wildcards() &&
                                           rule.model.has_rest() == rule.checkpoint.has_rest()),
           "'{}' and '{}' have different wildcards", model, checkpoint);
  return *this;
}

NameMap& NameMap::rule(std::string_view model, std::string_view checkpoint, Transform transform) {
  return add(Rule::Kind::both_ways, model, checkpoint, transform);
}

NameMap& NameMap::alias(std::string_view model, std::string_view checkpoint, Transform transform) {
  return add(Rule::Kind::reading, model, checkpoint, transform);
}

NameMap& NameMap::ignore(std::string_view checkpoint) { return add(Rule::Kind::ignored, "", checkpoint, {}); }

NameMap& NameMap::nest(std::string_view model, std::string_view checkpoint, const NameMap& inner) {
  for (const Rule& rule : inner.rules_) {
    add(rule.kind, fmt::format("{}{}", model, rule.model.text()),
        fmt::format("{}{}", checkpoint, rule.checkpoint.text()), rule.transform);
  }
  return *this;
}

std::optional<std::string_view> NameMap::without_prefix(std::string_view key) const {
  if (!key.starts_with(prefix_)) return std::nullopt;
  return key.substr(prefix_.size());
}

std::optional<NameMap::Name> NameMap::to_checkpoint(std::string_view model_name) const {
  for (const Rule& rule : rules_) {
    if (rule.kind != Rule::Kind::both_ways) continue;
    if (const auto wildcards = rule.model.match(model_name)) {
      return Name{prefix_ + rule.checkpoint.fill(*wildcards), rule.transform};
    }
  }
  return std::nullopt;
}

std::vector<NameMap::Name> NameMap::to_model(std::string_view key) const {
  std::vector<Name> names;
  const auto rest = without_prefix(key);
  if (!rest) return names;
  for (const Rule& rule : rules_) {
    // After the first match only the other parts of the same tensor are of interest.
    if (!names.empty() && rule.transform.kind != Transform::Kind::part) continue;
    if (const auto wildcards = rule.checkpoint.match(*rest)) {
      if (rule.kind == Rule::Kind::ignored) break;
      names.push_back({rule.model.fill(*wildcards), rule.transform});
      if (rule.transform.kind != Transform::Kind::part) break;
    }
  }
  return names;
}

bool NameMap::ignores(std::string_view key) const {
  const auto rest = without_prefix(key);
  if (!rest) return true;
  for (const Rule& rule : rules_) {
    if (rule.checkpoint.match(*rest)) return rule.kind == Rule::Kind::ignored;
  }
  return false;
}

std::shared_ptr<const MappedSource> NameMap::to_model(std::shared_ptr<const TensorSource> checkpoint) const {
  return std::make_shared<MappedSource>(*this, std::move(checkpoint));
}

}  // namespace difftune
