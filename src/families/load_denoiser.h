// A denoiser out of a checkpoint, with what the request says about memory: 8-bit weights, blocks that are computed
// again or whose weights wait in main memory.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "families/checkpoint_reader.h"
#include "families/model_family.h"
#include "nn/block_memory.h"

namespace difftune {

// Which of the blocks wait, by path, where `count` of them shall.
using ChooseBlocks = std::vector<std::string> (*)(const nn::NamedBlocks& blocks, int64_t count);

// The last ones. Throws UsageError where fewer than two would be left: one computes, one is fetched.
std::vector<std::string> last_blocks(const nn::NamedBlocks& blocks, int64_t count);

template <typename Model, typename Config>
std::unique_ptr<Model> load_denoiser(const Config& config, const std::shared_ptr<const TensorSource>& file,
                                     const ModelRequest& request, ChooseBlocks choose = last_blocks) {
  WeightStorage storage{.is_fp8 = request.has_fp8_denoiser, .rounds_all_to_fp8 = request.reference_quirks};
  if (request.blocks_to_swap > 0) {
    // The structure alone names the blocks.
    storage.paths_on_cpu = choose(Model(config, *nn::make_shape_reader()).blocks(), request.blocks_to_swap);
  }
  const auto waiting = storage.paths_on_cpu;
  auto model =
      std::make_unique<Model>(config, *make_checkpoint_reader(file, request.dtype, request.device, std::move(storage)));
  nn::BlockMemory& memory = model->memory();
  memory.recomputes = request.gradient_checkpointing;
  memory.keeps_inputs_on_cpu = request.keeps_checkpoints_on_cpu;
  nn::NamedBlocks chosen;
  for (const auto& block : model->blocks()) {
    if (std::find(waiting.begin(), waiting.end(), block.first) != waiting.end()) chosen.push_back(block);
  }
  const auto fetch = request.device.is_cpu() ? nn::BlockSwap::Fetch::read_ahead : nn::BlockSwap::Fetch::copy;
  if (!chosen.empty()) memory.swap(chosen, model->index(), request.device, fetch);
  return model;
}

}  // namespace difftune
