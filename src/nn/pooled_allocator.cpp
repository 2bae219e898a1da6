#include "nn/pooled_allocator.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <malloc.h>
#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <mutex>
#include <new>
#include <unordered_map>

namespace difftune::nn {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kAlignment = 64;
// Smaller blocks are malloc's, which keeps them itself.
constexpr size_t kSmallestBlock = size_t{64} << 10;
// Beyond the most that tensors ever used at once, the pool keeps at most this much.
constexpr size_t kSlack = size_t{64} << 20;

// Eight sizes per power of two: at most an eighth of a block is unused.
size_t block_size(size_t num_bytes) {
  const size_t step = std::max(std::bit_floor(num_bytes) / 8, kPage);
  return (num_bytes + step - 1) / step * step;
}

void* map_block(size_t size) {
  const size_t alignment = size >= kHugePage ? kHugePage : kPage;
  const size_t length = size + alignment - kPage;
  void* start = mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (start == MAP_FAILED) return nullptr;
  const auto begin = reinterpret_cast<uintptr_t>(start);
  const uintptr_t aligned = (begin + alignment - 1) / alignment * alignment;
  if (aligned > begin) munmap(start, aligned - begin);
  if (begin + length > aligned + size) munmap(reinterpret_cast<void*>(aligned + size), begin + length - aligned - size);
  if (size >= kHugePage) madvise(reinterpret_cast<void*>(aligned), size, MADV_HUGEPAGE);
  return reinterpret_cast<void*>(aligned);
}

class Pool {
 public:
  void* take(size_t num_bytes) {
    const std::lock_guard lock(mutex_);
    const size_t wanted = block_size(num_bytes);
    void* block = take_kept(wanted);
    if (block == nullptr) block = take_new(wanted);
    use_.in_use += sizes_[block];
    use_.most_in_use = std::max(use_.most_in_use, use_.in_use);
    return block;
  }

  // False where `block` is not the pool's.
  bool give_back(void* block) {
    const std::lock_guard lock(mutex_);
    const auto found = sizes_.find(block);
    if (found == sizes_.end()) return false;
    use_.in_use -= found->second;
    use_.kept += found->second;
    kept_.emplace(found->second, block);
    return true;
  }

  void trim() {
    const std::lock_guard lock(mutex_);
    shrink(0);
    use_.most_in_use = use_.in_use;
  }

  PoolUse use() {
    const std::lock_guard lock(mutex_);
    return use_;
  }

 private:
  // A kept block that is at most a quarter too large.
  void* take_kept(size_t wanted) {
    const auto found = kept_.lower_bound(wanted);
    if (found == kept_.end() || found->first > wanted + wanted / 4) return nullptr;
    void* block = found->second;
    use_.kept -= found->first;
    kept_.erase(found);
    return block;
  }

  void* take_new(size_t wanted) {
    const size_t needed = use_.in_use + wanted;
    const size_t allowed = std::max(use_.most_in_use, needed) + kSlack;
    if (needed + use_.kept > allowed) shrink(allowed - needed);
    void* block = map_block(wanted);
    if (block == nullptr) {
      shrink(0);
      block = map_block(wanted);
    }
    if (block == nullptr) throw std::bad_alloc();
    sizes_[block] = wanted;
    return block;
  }

  // Unmaps the largest blocks until at most `allowed` bytes are kept.
  void shrink(size_t allowed) {
    while (use_.kept > allowed) {
      const auto largest = std::prev(kept_.end());
      munmap(largest->second, largest->first);
      use_.kept -= largest->first;
      sizes_.erase(largest->second);
      kept_.erase(largest);
    }
  }

  std::mutex mutex_;
  std::multimap<size_t, void*> kept_;
  std::unordered_map<void*, size_t> sizes_;
  PoolUse use_;
};

// Never destroyed: tensors may outlive everything else.
Pool& pool() {
  static Pool& instance = *new Pool;
  return instance;
}

void release(void* data) {
  // Blocks of the pool start on pages; what malloc gives almost never does.
  const bool may_be_block = reinterpret_cast<uintptr_t>(data) % kPage == 0;
  if (!may_be_block || !pool().give_back(data)) std::free(data);
}

class PooledAllocator : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t num_bytes) override {
    void* data = nullptr;
    if (num_bytes >= kSmallestBlock) {
      data = pool().take(num_bytes);
    } else if (num_bytes > 0 && posix_memalign(&data, kAlignment, num_bytes) != 0) {
      throw std::bad_alloc();
    }
    return {data, data, &release, c10::Device(c10::kCPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, size_t num_bytes) const override {
    default_copy_data(to, from, num_bytes);
  }
};

}  // namespace

void use_pooled_memory() {
  static const bool installed = [] {
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, 64 << 20);
    c10::SetCPUAllocator(new PooledAllocator);
    return true;
  }();
  static_cast<void>(installed);
}

void trim_pooled_memory() {
  pool().trim();
  malloc_trim(0);
}

PoolUse pooled_memory_use() { return pool().use(); }

}  // namespace difftune::nn
