#include "nn/block_swap.h"

#include <ATen/core/grad_mode.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"

namespace difftune::nn {
namespace {

// Asks the system to read the pages of the tensor's memory soon. Without effect on memory that is no file's.
void read_ahead(const at::Tensor& tensor) {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<uintptr_t>(tensor.const_data_ptr()) / page * page;
  const auto end = reinterpret_cast<uintptr_t>(tensor.const_data_ptr()) + tensor.nbytes();
  madvise(reinterpret_cast<void*>(begin), end - begin, MADV_WILLNEED);
}

std::vector<at::Tensor> copies_of(const std::vector<at::Tensor>& weights, c10::Device device) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> copies;
  if (device.is_cpu()) {
    for (const auto& weight : weights) copies.push_back(weight.clone());
    return copies;
  }
  const c10::impl::VirtualGuardImpl backend(device.type());
  const c10::Stream stream = backend.getStreamFromGlobalPool(device);
  const c10::StreamGuard guard(stream);
  for (const auto& weight : weights) copies.push_back(weight.to(device, weight.scalar_type(), /*non_blocking=*/true));
  stream.synchronize();
  return copies;
}

}  // namespace

BlockSwap::Use::Use(const std::vector<Layer*>& layers, const std::vector<at::Tensor>& weights) : layers_(&layers) {
  for (size_t i = 0; i < weights.size(); ++i) {
    waiting_.push_back(layers[i]->weight);
    layers[i]->weight = weights[i];
  }
}

BlockSwap::Use::~Use() {
  for (size_t i = 0; i < waiting_.size(); ++i) (*layers_)[i]->weight = std::move(waiting_[i]);
}

void BlockSwap::add(const void* block, std::vector<Layer*> layers) {
  DT_CHECK(!contains(block), "the block was added before");
  blocks_.push_back({block, std::move(layers), {}, {}});
}

size_t BlockSwap::find(const void* block) const {
  size_t i = 0;
  while (i < blocks_.size() && blocks_[i].address != block) ++i;
  return i;
}

void BlockSwap::fetch(Block& block) const {
  if (!copies()) {
    for (const Layer* layer : block.layers) read_ahead(layer->weight);
    return;
  }
  if (!block.on_device.empty() || block.is_coming.valid()) return;
  std::vector<at::Tensor> weights;
  for (const Layer* layer : block.layers) weights.push_back(layer->weight);
  block.is_coming = std::async(std::launch::async, copies_of, std::move(weights), device_);
}

BlockSwap::Use BlockSwap::use(const void* address) {
  const size_t at = find(address);
  DT_CHECK(at < blocks_.size(), "the block was added");
  Block& block = blocks_[at];
  // A block that runs twice in a row is the one where the direction turns.
  is_going_back_ = at == last_ ? !is_going_back_ : at < last_;
  const size_t next = at == last_ && blocks_.size() == 1 ? at : at + (is_going_back_ ? -1 : 1);
  last_ = at;
  if (!copies()) {
    if (next < blocks_.size()) fetch(blocks_[next]);
    return {block.layers, {}};
  }
  fetch(block);
  if (block.is_coming.valid()) block.on_device = block.is_coming.get();
  // The block before stays where none is to be fetched: it comes again when the direction turns.
  if (next < blocks_.size()) {
    for (size_t i = 0; i < blocks_.size(); ++i) {
      if (i == at || i == next) continue;
      if (blocks_[i].is_coming.valid()) blocks_[i].is_coming.get();
      blocks_[i].on_device.clear();
    }
    fetch(blocks_[next]);
  }
  if (!device_.is_cpu()) {
    // The allocator must not give the memory to the next fetch while kernels that were launched here still read it.
    const c10::Stream stream = c10::impl::VirtualGuardImpl(device_.type()).getStream(device_);
    for (const auto& weight : block.on_device) weight.record_stream(stream);
  }
  return {block.layers, block.on_device};
}

}  // namespace difftune::nn
