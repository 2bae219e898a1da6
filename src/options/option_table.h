// The one declaration of a command's options, from which parsing, help, config files and documentation come.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "options/option_value.h"

namespace difftune {

enum class Availability {
  available,
  later,      // refused by name when it is set to anything but its default
  no_effect,  // accepted with a note, because it has nothing to change here
};

// What an option has besides a name, a field and a help text.
struct OptionTraits {
  std::string metavar = {};                     // "" takes the one of the kind, e.g. N
  std::string unit = {};                        // e.g. "px", "steps"
  std::vector<std::string> choices = {};        // empty: any value
  std::vector<std::string> file_defaults = {};  // what front ends write into config files to mean the default
  std::optional<double> minimum = {}, maximum = {};
  bool count_or_share = false;  // a whole number, or below 1 (or "10%") a share of all steps
  bool comma_list = false;      // text such as "512,768", which a config file can also give as [512, 768]
  bool required = false;        // an empty text is "not given"
  bool secret = false;          // never printed or written to a file
  bool transient = false;       // about this call, not part of the configuration (--config_file, --dry_run)
  bool positional = false;      // a word without an option before it; in the order of declaration
  char letter = 0;              // 's': `-s` is another spelling
};

struct OptionSpec : OptionTraits {
  std::string name;  // "resolution": `--resolution` on the command line, `resolution` in a config file
  FieldRef field;
  std::string help;
  std::string group;
  OptionValue default_value;

  Availability availability = Availability::available;
  std::string reason;  // what to do instead, or why it has no effect

  ValueKind kind() const { return kind_of(field); }
  // The field's value; "not given" for a required text that is empty.
  OptionValue value() const;
  bool is_default() const { return same_value(value(), default_value); }
  // The placeholder of the value in the usage line, e.g. "N"; "" for a flag.
  std::string placeholder() const;
};

// All options of one command, bound to the fields of one options struct, which must outlive the table and stay in
// place. Describe a freshly made struct: the values found in it are the defaults.
class OptionTable {
 public:
  // Options added from here on belong under this heading.
  void group(std::string heading) { heading_ = std::move(heading); }
  void add(std::string name, FieldRef field, std::string help, OptionTraits traits = {});
  // Takes an option out again, for a command that has a group without it.
  void remove(std::string_view name);
  void later(std::string_view name, std::string reason);
  void no_effect(std::string_view name, std::string reason);

  const std::vector<OptionSpec>& specs() const& { return specs_; }
  const std::vector<OptionSpec>& specs() && = delete;  // would outlive the table
  // The position of an option in specs(), if there is one of that name (written without dashes).
  std::optional<size_t> find(std::string_view name) const;
  const OptionSpec& at(std::string_view name) const&;
  // Without those that are given by position.
  std::vector<std::string> names() const;

 private:
  OptionSpec& mutable_at(std::string_view name);

  std::string heading_;
  std::vector<OptionSpec> specs_;
};

// One line for the log about the options that were read.
struct Remark {
  bool is_warning = false;
  std::string text;
};

}  // namespace difftune
