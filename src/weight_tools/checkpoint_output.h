// A file of weights that is made tensor by tensor out of others: how the weight tools write.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "weights/safetensors.h"
#include "weights/torch_writer.h"

namespace difftune {

// One tensor to be written. Nothing is read before `make` is called; those of several tensors are called at once, on
// other threads than the caller's.
struct TensorRecipe {
  struct Input {
    std::shared_ptr<const TensorSource> source;
    std::string key;
  };
  TensorDeclaration tensor;
  std::function<at::Tensor()> make;
  std::vector<Input> inputs;  // what `make` reads, to give their pages back and for messages
  // `make` looks for values that are not finite, and gives an undefined tensor where there is one. Without it they are
  // looked for in the tensor that is made.
  bool checks_values = false;
};

// A tensor of a file as it is, or rounded to `dtype`.
TensorRecipe copy_recipe(std::string name, const TensorRecipe::Input& input,
                         std::optional<c10::ScalarType> dtype = std::nullopt);

struct CheckpointOutput {
  fs::path path;  // .safetensors or .sft, or anything else for a PyTorch checkpoint
  std::optional<Metadata> metadata;
  SafetensorsStyle style = SafetensorsStyle::library;
  TorchFileContent torch;
};

// Throws UserError where the path is a folder or one of the inputs. `option` names it in the message.
void require_new_file(const fs::path& output, std::span<const fs::path> inputs, std::string_view option);

// Throws UserError where the disk has too little space for the tensors. `path` may not exist yet.
void require_free_space(const fs::path& path, const std::vector<TensorRecipe>& recipes);

// Bytes of all tensors.
uint64_t total_bytes(const std::vector<TensorRecipe>& recipes);

// Makes and writes the tensors in the file's order, with a progress line called `label`. Creates the folder. Throws
// UserError, and leaves an existing file as it was, where a tensor is not finite (it names the tensor and the file with
// the bad values, or the precision that is too narrow), the disk is full or the user stops it. Does not wait for the
// disk: the inputs are there still.
void write_checkpoint(const CheckpointOutput& output, const std::vector<TensorRecipe>& recipes,
                      const std::string& label);

// "4.2 GB", "17.0 MB", "900 bytes".
std::string display_bytes(uint64_t num_bytes);

}  // namespace difftune
