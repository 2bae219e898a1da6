#include "base/python_random.h"

#include <bit>
#include <cmath>
#include <unordered_set>

#include "base/error.h"

namespace difftune {
namespace {
constexpr uint32_t kPeriod = 397;
}

void PythonRandom::seed(uint64_t seed) {
  // init_by_array with the seed's 32-bit words, least significant first.
  std::vector<uint32_t> key{static_cast<uint32_t>(seed)};
  if (seed >> 32) key.push_back(static_cast<uint32_t>(seed >> 32));

  words_[0] = 19650218u;
  for (uint32_t i = 1; i < 624; ++i) words_[i] = 1812433253u * (words_[i - 1] ^ (words_[i - 1] >> 30)) + i;
  uint32_t i = 1, j = 0;
  for (uint32_t k = 624; k > 0; --k) {
    words_[i] = (words_[i] ^ ((words_[i - 1] ^ (words_[i - 1] >> 30)) * 1664525u)) + key[j] + j;
    if (++i >= 624) {
      words_[0] = words_[623];
      i = 1;
    }
    if (++j >= key.size()) j = 0;
  }
  for (uint32_t k = 623; k > 0; --k) {
    words_[i] = (words_[i] ^ ((words_[i - 1] ^ (words_[i - 1] >> 30)) * 1566083941u)) - i;
    if (++i >= 624) {
      words_[0] = words_[623];
      i = 1;
    }
  }
  words_[0] = 0x80000000u;
  position_ = 624;
}

uint32_t PythonRandom::next_u32() {
  if (position_ >= 624) {
    for (uint32_t k = 0; k < 624; ++k) {
      const uint32_t y = (words_[k] & 0x80000000u) | (words_[(k + 1) % 624] & 0x7fffffffu);
      words_[k] = words_[(k + kPeriod) % 624] ^ (y >> 1) ^ ((y & 1u) ? 0x9908b0dfu : 0u);
    }
    position_ = 0;
  }
  uint32_t y = words_[position_++];
  y ^= y >> 11;
  y ^= (y << 7) & 0x9d2c5680u;
  y ^= (y << 15) & 0xefc60000u;
  return y ^ (y >> 18);
}

uint64_t PythonRandom::getrandbits(int k) {
  DT_CHECK(k >= 1 && k <= 64);
  if (k <= 32) return next_u32() >> (32 - k);
  const uint64_t low = next_u32();
  const uint64_t high = next_u32() >> (64 - k);
  return low | (high << 32);
}

double PythonRandom::random() {
  const uint32_t a = next_u32() >> 5, b = next_u32() >> 6;
  return (a * 67108864.0 + b) * (1.0 / 9007199254740992.0);
}

uint64_t PythonRandom::below(uint64_t n) {
  DT_CHECK(n >= 1);
  const int bits = std::bit_width(n);
  uint64_t r = getrandbits(bits);
  while (r >= n) r = getrandbits(bits);
  return r;
}

std::vector<size_t> PythonRandom::sample_indices(size_t n, size_t k) {
  DT_CHECK(k <= n);
  std::vector<size_t> result;
  // CPython keeps a pool where that is smaller than a set of the chosen ones.
  double set_size = 21;
  if (k > 5) set_size += std::pow(4, std::ceil(std::log(static_cast<double>(k) * 3) / std::log(4.0)));
  if (static_cast<double>(n) <= set_size) {
    std::vector<size_t> pool(n);
    for (size_t i = 0; i < n; ++i) pool[i] = i;
    for (size_t i = 0; i < k; ++i) {
      const size_t j = below(n - i);
      result.push_back(pool[j]);
      pool[j] = pool[n - i - 1];
    }
  } else {
    std::unordered_set<size_t> chosen;
    for (size_t i = 0; i < k; ++i) {
      size_t j = below(n);
      while (chosen.contains(j)) j = below(n);
      chosen.insert(j);
      result.push_back(j);
    }
  }
  return result;
}

std::vector<uint32_t> PythonRandom::state() const {
  std::vector<uint32_t> result(words_.begin(), words_.end());
  result.push_back(position_);
  return result;
}

void PythonRandom::set_state(std::span<const uint32_t> state) {
  DT_CHECK(state.size() == 625 && state[624] <= 624);
  std::copy(state.begin(), state.begin() + 624, words_.begin());
  position_ = state[624];
}

}  // namespace difftune
