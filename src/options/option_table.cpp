#include "options/option_table.h"

#include "base/error.h"

namespace difftune {

OptionValue OptionSpec::value() const {
  OptionValue value = read_field(field);
  if (required && std::holds_alternative<std::string>(value) && std::get<std::string>(value).empty()) {
    return std::monostate{};
  }
  return value;
}

std::string OptionSpec::placeholder() const {
  if (!metavar.empty()) return metavar;
  if (count_or_share) return "N|SHARE";
  switch (kind()) {
    case ValueKind::flag:
      return "";
    case ValueKind::integer:
      return "N";
    case ValueKind::number:
      return "X";
    case ValueKind::text:
      return "TEXT";
    case ValueKind::path:
      return "PATH";
    case ValueKind::text_list:
      return "TEXT ...";
    case ValueKind::number_list:
      return "X ...";
  }
  return "";
}

void OptionTable::add(std::string name, FieldRef field, std::string help, OptionTraits traits) {
  DT_CHECK(!find(name), "--{} is declared twice", name);
  OptionSpec& spec = specs_.emplace_back();
  static_cast<OptionTraits&>(spec) = std::move(traits);
  spec.name = std::move(name);
  spec.field = field;
  spec.help = std::move(help);
  spec.group = heading_;
  spec.default_value = spec.value();
}

void OptionTable::remove(std::string_view name) {
  const auto index = find(name);
  DT_CHECK(index, "no option is called {}", name);
  specs_.erase(specs_.begin() + static_cast<std::ptrdiff_t>(*index));
}

void OptionTable::later(std::string_view name, std::string reason) {
  OptionSpec& spec = mutable_at(name);
  spec.availability = Availability::later;
  spec.reason = std::move(reason);
}

void OptionTable::no_effect(std::string_view name, std::string reason) {
  OptionSpec& spec = mutable_at(name);
  spec.availability = Availability::no_effect;
  spec.reason = std::move(reason);
}

std::optional<size_t> OptionTable::find(std::string_view name) const {
  for (size_t i = 0; i < specs_.size(); ++i) {
    if (specs_[i].name == name) return i;
  }
  return std::nullopt;
}

const OptionSpec& OptionTable::at(std::string_view name) const& {
  const auto index = find(name);
  DT_CHECK(index, "no option is called {}", name);
  return specs_[*index];
}

OptionSpec& OptionTable::mutable_at(std::string_view name) { return const_cast<OptionSpec&>(at(name)); }

std::vector<std::string> OptionTable::names() const {
  std::vector<std::string> names;
  for (const auto& spec : specs_) {
    if (!spec.positional) names.push_back(spec.name);
  }
  return names;
}

}  // namespace difftune
