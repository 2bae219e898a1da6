// FLUX.1's tensors in its two layouts: Black Forest Labs' single files ("double_blocks.0.img_attn.qkv.weight"), which
// are the names that the model has here, and Diffusers' folders ("transformer_blocks.0.attn.to_q.weight").
// Sources: black-forest-labs/flux src/flux/model.py and huggingface/diffusers
// models/transformers/transformer_flux.py, scripts/convert_flux_to_diffusers.py.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "weights/name_map.h"

namespace difftune {

// A linear layer in both layouts; "{}" is the number of the block.
struct FluxLinear {
  struct Part {
    const char* diffusers;
    int span = 1;  // in units of the smallest part
  };
  const char* bfl;
  // Its rows, from the top, as Diffusers' layers: one, or q, k, v (and the MLP's input, four times as high).
  std::vector<Part> parts;
  // Diffusers has the two halves of the rows (scale, shift) the other way around.
  bool has_swapped_halves = false;

  int num_parts() const;
};
std::span<const FluxLinear> flux_linears();

// "Model" names are Diffusers', "checkpoint" keys Black Forest Labs', because several of Diffusers' tensors are one of
// theirs: `to_checkpoint` reads a Diffusers transformer as the model has it, `to_model` gives the inverse. Of any
// number of blocks, for dev and schnell. Both prefixes come before every name.
NameMap flux_diffusers_name_map(const std::string& diffusers_prefix = "", const std::string& bfl_prefix = "");

}  // namespace difftune
