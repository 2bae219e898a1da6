// Work on threads of our own, for decoding and loading (tensor operations have LibTorch's).
#pragma once

#include <cstddef>
#include <functional>

namespace difftune {

// Calls work(i) for i in [0, count) on up to `num_threads` threads (0: one per processor), in rising order of start.
// The first exception stops the rest and is thrown here.
void parallel_for(size_t count, const std::function<void(size_t)>& work, size_t num_threads = 0);

}  // namespace difftune
