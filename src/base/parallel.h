// Work on threads of our own, for decoding and loading (tensor operations have LibTorch's).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace difftune {

// Called at the beginning of every thread that parallel_for() and Prefetcher start from now on, to set what libraries
// keep for each thread. To be set before there are any.
void set_thread_preparation(void (*prepare)());
void prepare_thread();

// Calls work(i) for i in [0, count) on up to `num_threads` threads (0: one per processor), in rising order of start.
// The first exception stops the rest and is thrown here.
void parallel_for(size_t count, const std::function<void(size_t)>& work, size_t num_threads = 0);

// The indices of [0, count) with falling size(i): work in this order leaves no thread with a large part at the end.
std::vector<size_t> largest_first(size_t count, const std::function<int64_t(size_t)>& size);

}  // namespace difftune
