// Blocks whose weights wait in main memory while others compute.
//
// The weights of the next block are fetched by a thread of its own, on a stream of its own, while the present one
// computes. Frozen weights do not change, so nothing is ever written back: a block that is left drops its copy.
#pragma once

#include <ATen/core/Tensor.h>

#include <future>
#include <vector>

#include "nn/layer.h"

namespace difftune::nn {

class BlockSwap {
 public:
  // What fetching a block means: a copy on `device`, or, where blocks compute where their weights lie, that the pages
  // of their mapped file are read ahead.
  enum class Fetch { copy, read_ahead };
  BlockSwap(c10::Device device, Fetch fetch) : device_(device), fetch_(fetch) {}

  // A block, known by its address, with its layers. Blocks run in the order in which they are added, and in the
  // opposite order in the backward pass.
  void add(const void* block, std::vector<Layer*> layers);
  bool contains(const void* block) const { return find(block) < blocks_.size(); }
  // Whether weights are copies that a backward pass must not keep.
  bool copies() const { return fetch_ == Fetch::copy; }

  // The layers of a block have their weights on the device until this ends.
  class Use {
   public:
    Use(const std::vector<Layer*>& layers, const std::vector<at::Tensor>& weights);
    ~Use();
    Use(const Use&) = delete;

   private:
    const std::vector<Layer*>* layers_;
    std::vector<at::Tensor> waiting_;  // the layers' own
  };
  // Waits for the block's weights, and begins to fetch those of the block that is expected next: in the direction in
  // which blocks ran last. Two blocks are on the device at a time.
  Use use(const void* block);

 private:
  struct Block {
    const void* address;
    std::vector<Layer*> layers;
    std::vector<at::Tensor> on_device;               // empty: not there
    std::future<std::vector<at::Tensor>> is_coming;  // valid while it is fetched
  };
  size_t find(const void* block) const;
  void fetch(Block& block) const;

  c10::Device device_;
  Fetch fetch_;
  std::vector<Block> blocks_;
  size_t last_ = 0;
  bool is_going_back_ = false;
};

}  // namespace difftune::nn
