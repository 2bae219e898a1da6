// Makes a sequence of values ahead of their use, on threads of its own, and hands them out in order.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "base/parallel.h"

namespace difftune {

template <typename T>
class Prefetcher {
 public:
  // Values are make(first) ... make(end - 1), made by `num_threads` threads, at most `num_ahead` beyond the one that
  // next() gave last. `make` must be thread-safe.
  Prefetcher(size_t first, size_t end, std::function<T(size_t)> make, size_t num_threads, size_t num_ahead)
      : make_(std::move(make)), end_(end), started_(first), taken_(first), num_ahead_(std::max<size_t>(num_ahead, 1)) {
    for (size_t i = 0; i < std::max<size_t>(num_threads, 1); ++i) {
      threads_.emplace_back([this] {
        prepare_thread();
        work();
      });
    }
  }
  ~Prefetcher() {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    changed_.notify_all();
    for (auto& thread : threads_) thread.join();
  }
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  // The next value, or nullopt after the last; throws what making it threw.
  std::optional<T> next() {
    std::unique_lock lock(mutex_);
    if (taken_ >= end_) return std::nullopt;
    changed_.wait(lock, [&] { return made_.contains(taken_); });
    auto node = made_.extract(taken_++);
    lock.unlock();
    changed_.notify_all();
    if (node.mapped().error) std::rethrow_exception(node.mapped().error);
    return std::move(node.mapped().value);
  }

 private:
  struct Made {
    std::optional<T> value;
    std::exception_ptr error;
  };

  void work() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [&] { return stopped_ || started_ >= end_ || started_ < taken_ + num_ahead_; });
      if (stopped_ || started_ >= end_) return;
      const size_t index = started_++;
      lock.unlock();
      Made made;
      try {
        made.value.emplace(make_(index));
      } catch (...) {
        made.error = std::current_exception();
      }
      lock.lock();
      made_.emplace(index, std::move(made));
      changed_.notify_all();
    }
  }

  const std::function<T(size_t)> make_;
  const size_t end_;
  size_t started_, taken_;  // the next index to start, to hand out
  const size_t num_ahead_;
  bool stopped_ = false;
  std::map<size_t, Made> made_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::thread> threads_;
};

}  // namespace difftune
