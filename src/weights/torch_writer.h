// Writes PyTorch checkpoints (.ckpt, .bin) in the zip format of torch.save, streamed and atomic.
// Format: torch/serialization.py and caffe2/serialize/inline_container.cc; the pickle has nothing that torch.load
// refuses with weights_only.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "weights/safetensors.h"

namespace difftune {

struct TorchFileContent {
  // Put the tensors under "state_dict", beside these whole numbers, as trainers of Stable Diffusion save them. Without
  // it the tensors are the top dictionary, as in Diffusers' .bin files.
  std::optional<std::map<std::string, int64_t>> state_dict_beside;
};

// As write_safetensors. The dtypes are those that torch.save has a storage class for (no 8-bit floats); another one is
// a UserError.
void write_torch_checkpoint(const fs::path& path, const std::vector<TensorDeclaration>& tensors,
                            const TensorProvider& provide, const TorchFileContent& content,
                            WrittenWhen written_when = WrittenWhen::on_disk);

}  // namespace difftune
