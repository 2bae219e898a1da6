// A safetensors file written tensor by tensor: while one is written, the next is made, so that a checkpoint of any size
// passes through the memory of two tensors.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "weights/safetensors_header.h"

namespace difftune {

// One tensor of the file to be written.
struct StreamedTensor {
  TensorDeclaration declaration;
  std::function<at::Tensor()> make;    // gives the tensor, in the declared dtype and shape
  std::function<void()> written = {};  // called when its bytes are in the file, e.g. to drop pages
};

// Writes `tensors` in the order of the format, with progress under `label`. Throws UserError, and leaves an existing
// file as it was, where the disk is full or `make` throws. Returns the number of bytes in the file.
uint64_t stream_checkpoint(const fs::path& path, const std::vector<StreamedTensor>& tensors,
                           const std::optional<Metadata>& metadata, const std::string& label);

// The size of the file that stream_checkpoint would write.
uint64_t streamed_bytes(const std::vector<StreamedTensor>& tensors, const std::optional<Metadata>& metadata);

}  // namespace difftune
