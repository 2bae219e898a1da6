// The sequences of CPython's random.Random, which decide batch order and captions in the reference.
// Source: CPython's documented Mersenne Twister (MT19937, init_by_array) and the algorithms of Lib/random.py.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace difftune {

class PythonRandom {
 public:
  explicit PythonRandom(uint64_t seed = 0) { this->seed(seed); }

  void seed(uint64_t seed);
  uint32_t next_u32();
  // k random bits, 1 <= k <= 64.
  uint64_t getrandbits(int k);
  // Uniform in [0, 1) with 53 bits.
  double random();
  double uniform(double a, double b) { return a + (b - a) * random(); }
  // Uniform in [0, n), n >= 1.
  uint64_t below(uint64_t n);
  // Uniform in [a, b], both included.
  int64_t randint(int64_t a, int64_t b) { return a + static_cast<int64_t>(below(static_cast<uint64_t>(b - a) + 1)); }
  // Uniform in [0, stop).
  int64_t randrange(int64_t stop) { return static_cast<int64_t>(below(static_cast<uint64_t>(stop))); }

  template <typename T>
  void shuffle(std::vector<T>& items) {
    for (size_t i = items.size(); i-- > 1;) std::swap(items[i], items[below(i + 1)]);
  }
  template <typename T>
  const T& choice(const std::vector<T>& items) {
    return items[below(items.size())];
  }
  // k distinct items in random order, as random.sample.
  template <typename T>
  std::vector<T> sample(const std::vector<T>& items, size_t k) {
    std::vector<T> result;
    for (size_t index : sample_indices(items.size(), k)) result.push_back(items[index]);
    return result;
  }

  // The generator's state: 624 words and the position, as random.getstate() orders them.
  std::vector<uint32_t> state() const;
  void set_state(std::span<const uint32_t> state);

 private:
  std::vector<size_t> sample_indices(size_t n, size_t k);

  std::array<uint32_t, 624> words_{};
  uint32_t position_ = 624;
};

}  // namespace difftune
