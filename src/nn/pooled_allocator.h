// The memory of tensors on the CPU: large blocks are kept when a tensor goes and given to the next one, so that a
// training step touches the pages of the step before and asks the kernel for none. LibTorch's own allocator returns
// large blocks to the kernel at once, and clearing fresh pages then takes a good part of a step.
#pragma once

#include <cstddef>

namespace difftune::nn {

// Makes LibTorch allocate through the pool, and has malloc keep what libraries free (oneDNN's scratch). Called once at
// the start of the program, before the first tensor; later calls do nothing.
void use_pooled_memory();

// Gives all blocks that no tensor uses back to the kernel. Called where a phase ends and memory is not needed again.
void trim_pooled_memory();

// Bytes of large blocks.
struct PoolUse {
  size_t in_use = 0;       // by tensors
  size_t kept = 0;         // by none
  size_t most_in_use = 0;  // since the start, or the last trim
};
PoolUse pooled_memory_use();

}  // namespace difftune::nn
