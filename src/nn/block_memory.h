// What the blocks of a model keep in memory between the forward and the backward pass: inner results, or only their
// inputs (gradient checkpointing), these where the model computes or in main memory; and whether their weights wait
// there. No choice changes a bit of the result.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "nn/block_swap.h"
#include "nn/checkpoint.h"

namespace difftune::nn {

// A block's path ("joint_blocks.3") and address.
using NamedBlocks = std::vector<std::pair<std::string, const void*>>;

class BlockMemory {
 public:
  bool recomputes = false;           // inner results are computed again in the backward pass
  bool keeps_inputs_on_cpu = false;  // of blocks that are computed again

  // The weights of the layers in `blocks`, out of `index`, wait in main memory.
  void swap(const NamedBlocks& blocks, const ModelIndex& index, c10::Device device, BlockSwap::Fetch fetch);

  // segment(inputs), which is the forward pass of the block at this address.
  at::Tensor run(const void* block, const Segment& segment, const std::vector<at::Tensor>& inputs) const;
  std::vector<at::Tensor> run_forked(const void* block, const ForkedSegment& segment,
                                     const std::vector<at::Tensor>& inputs) const;

 private:
  std::unique_ptr<BlockSwap> swap_;
};

}  // namespace difftune::nn
