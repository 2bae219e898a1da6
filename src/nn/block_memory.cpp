#include "nn/block_memory.h"

namespace difftune::nn {

void BlockMemory::swap(const NamedBlocks& blocks, const ModelIndex& index, c10::Device device, BlockSwap::Fetch fetch) {
  swap_ = std::make_unique<BlockSwap>(device, fetch);
  for (const auto& [path, address] : blocks) {
    std::vector<Layer*> layers;
    for (Layer* layer : index.layers) {
      if (layer->path().starts_with(path + ".")) layers.push_back(layer);
    }
    swap_->add(address, std::move(layers));
  }
}

std::vector<at::Tensor> BlockMemory::run_forked(const void* block, const ForkedSegment& segment,
                                                const std::vector<at::Tensor>& inputs) const {
  if (swap_ == nullptr || !swap_->contains(block)) {
    return recomputes ? checkpoint_forked(segment, inputs, keeps_inputs_on_cpu) : segment(inputs);
  }
  const auto with_weights = [swap = swap_.get(), block, segment](const std::vector<at::Tensor>& in) {
    const auto use = swap->use(block);
    return segment(in);
  };
  // A graph of the forward pass would keep the copies of all blocks until the backward pass.
  return recomputes || swap_->copies() ? checkpoint_forked(with_weights, inputs, keeps_inputs_on_cpu)
                                       : with_weights(inputs);
}

at::Tensor BlockMemory::run(const void* block, const Segment& segment, const std::vector<at::Tensor>& inputs) const {
  return run_forked(
      block, [segment](const auto& in) { return std::vector{segment(in)}; }, inputs)[0];
}

}  // namespace difftune::nn
