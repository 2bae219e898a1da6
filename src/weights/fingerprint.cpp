#include "weights/fingerprint.h"

#include <algorithm>

#include "base/sha256.h"

namespace difftune {

std::string fingerprint(const TensorSource& source) {
  constexpr size_t kNumTensors = 16, kNumBytes = 1024;
  std::vector<std::string> keys = source.keys();
  std::sort(keys.begin(), keys.end());
  std::string text;
  for (const auto& key : keys) text += key + " " + describe(source.info(key)) + "\n";
  const size_t step = std::max<size_t>(1, keys.size() / kNumTensors);
  for (size_t i = 0; i < keys.size(); i += step) {
    const at::Tensor tensor = source.tensor(keys[i]);
    if (!tensor.is_contiguous()) continue;
    text.append(static_cast<const char*>(tensor.const_data_ptr()), std::min<size_t>(tensor.nbytes(), kNumBytes));
  }
  return sha256_hex(text).substr(0, 16);
}

}  // namespace difftune
