// Python pickles read as data. Nothing is imported and nothing is called: a class or function is its name, a call is a
// node with its arguments, and what they mean is up to the reader of the tree.
// Opcodes: CPython's Lib/pickletools.py, protocols 2 to 5.
#pragma once

#include <cstddef>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/files.h"

namespace difftune {

struct PickleValue {
  enum class Kind {
    none,
    boolean,     // integer
    integer,     // integer; one beyond 64 bits is `bytes`
    real,        // real
    text,        // text
    bytes,       // text
    list,        // items; also sets
    tuple,       // items
    dict,        // entries
    global,      // text: "module.name"
    call,        // items: what was to be called and the tuple of arguments; entries: those set on the result
    persistent,  // items[0]: the identifier of an object outside the pickle
  };
  Kind kind = Kind::none;
  int64_t integer = 0;
  double real = 0;
  std::string text;
  std::vector<const PickleValue*> items;
  std::vector<std::pair<const PickleValue*, const PickleValue*>> entries;

  bool is(Kind k) const { return kind == k; }
  // Of a call: the "module.name" that was to be called ("" where it is no global) and the arguments.
  std::string_view callee() const;
  const std::vector<const PickleValue*>& arguments() const;
  bool is_text(std::string_view value) const { return kind == Kind::text && text == value; }
  // The value of the last entry with this text as its key, or nullptr.
  const PickleValue* find(std::string_view key) const;
};

// One pickle. It owns its values, which may refer to each other in cycles.
class Pickle {
 public:
  // Reads the pickle that begins at `offset`. Throws UserError that begins with `path` for bytes that are none.
  Pickle(std::span<const std::byte> bytes, const fs::path& path, size_t offset = 0);

  const PickleValue& root() const { return *root_; }
  // The offset behind the pickle.
  size_t end() const { return end_; }
  // Every value, in the order of creation.
  const std::deque<PickleValue>& values() const { return values_; }

 private:
  std::deque<PickleValue> values_;
  const PickleValue* root_ = nullptr;
  size_t end_ = 0;
};

}  // namespace difftune
