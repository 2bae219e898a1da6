// LoRAs for FLUX.1 in two layouts: that of sd-scripts ("lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight", one
// module for a fused layer, with an alpha) and that of ai-toolkit and Diffusers
// ("transformer.transformer_blocks.0.attn.to_q.lora_A.weight", without).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "weights/tensor_source.h"

namespace difftune {

struct ConvertedLora {
  std::vector<NamedTensor> tensors;
  size_t num_modules_read = 0, num_modules_written = 0;
  std::vector<std::string> left_out;  // keys that have no place in the other layout
};

// A fused layer gets the ranks of its parts one after another, its up matrix is block-diagonal. Parts that the LoRA
// lacks are zero there. Throws UserError that names the tensor where half of a pair is missing or shapes do not fit.
ConvertedLora flux_lora_from_ai_toolkit(const TensorSource& lora);

// Alpha goes into the weights. A fused layer whose up matrix is block-diagonal is taken apart; of another, each part
// gets its rows of up and all of down. Throws as above.
ConvertedLora flux_lora_to_ai_toolkit(const TensorSource& lora);

}  // namespace difftune
