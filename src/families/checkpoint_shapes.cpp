#include "families/checkpoint_shapes.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "base/error.h"

namespace difftune {

int64_t size_of(const TensorSource& source, const std::string& key, size_t axis) {
  if (!source.contains(key)) fail_missing_key(source, key);
  const auto shape = source.info(key).shape;
  if (axis >= shape.size()) fail("{}: {} has too few axes", source.path().string(), key);
  return shape[axis];
}

size_t num_axes(const TensorSource& source, const std::string& key) { return source.info(key).shape.size(); }

int64_t count_numbered(const TensorSource& source, const std::string& prefix) {
  std::set<int64_t> numbers;
  for (const std::string& key : source.keys()) {
    if (!key.starts_with(prefix)) continue;
    int64_t number = 0;
    const char* end = key.data() + key.size();
    const auto parsed = std::from_chars(key.data() + prefix.size(), end, number);
    if (parsed.ec == std::errc() && parsed.ptr != end && *parsed.ptr == '.') numbers.insert(number);
  }
  int64_t expected = 0;
  for (const int64_t number : numbers) {
    if (number != expected) {
      fail("{}: has tensors of '{}{}' and none of '{}{}'", source.path().string(), prefix, number, prefix, expected);
    }
    ++expected;
  }
  return expected;
}

bool has_prefix(const TensorSource& source, const std::string& prefix) {
  const auto keys = source.keys();
  return std::any_of(keys.begin(), keys.end(), [&](const std::string& key) { return key.starts_with(prefix); });
}

}  // namespace difftune
