#include "base/parallel.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <numeric>
#include <thread>
#include <vector>

namespace difftune {

namespace {
std::atomic<void (*)()> g_prepare{nullptr};
}  // namespace

void set_thread_preparation(void (*prepare)()) { g_prepare = prepare; }

void prepare_thread() {
  if (const auto prepare = g_prepare.load()) prepare();
}

void parallel_for(size_t count, const std::function<void(size_t)>& work, size_t num_threads) {
  if (num_threads == 0) num_threads = std::max(1u, std::thread::hardware_concurrency());
  num_threads = std::min(num_threads, count);
  std::atomic<size_t> next{0};
  std::exception_ptr error;
  std::mutex error_mutex;
  auto run = [&] {
    for (size_t i = next++; i < count; i = next++) {
      try {
        work(i);
      } catch (...) {
        std::lock_guard lock(error_mutex);
        if (!error) error = std::current_exception();
        next = count;
      }
    }
  };
  std::vector<std::thread> threads;
  for (size_t t = 1; t < num_threads; ++t) {
    threads.emplace_back([&] {
      prepare_thread();
      run();
    });
  }
  run();
  for (auto& thread : threads) thread.join();
  if (error) std::rethrow_exception(error);
}

std::vector<size_t> largest_first(size_t count, const std::function<int64_t(size_t)>& size) {
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return size(a) > size(b); });
  return order;
}

}  // namespace difftune
