// SHA-256, for model hashes and cache keys.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace difftune {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  void update(const void* data, size_t num_bytes);
  // Lower-case hexadecimal digits; ends the computation.
  std::string hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string sha256_hex(std::string_view data);

}  // namespace difftune
