// The header of a safetensors file: parsed with every claim checked, built as the Python library orders it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "weights/tensor_source.h"

namespace difftune {

// A tensor to be written.
struct TensorDeclaration {
  std::string name;
  c10::ScalarType dtype;
  std::vector<int64_t> shape;
};

// A tensor of a file; `offset` counts from the end of the header.
struct SafetensorsEntry {
  std::string name;
  TensorInfo info;
  size_t offset = 0;
};

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;  // in the order of their bytes
  std::optional<Metadata> metadata;
  size_t data_begin = 0;  // of the data, in bytes from the start of the file
  size_t data_bytes = 0;
};

// Parses and checks the header of `file` (all of its bytes). Throws UserError that begins with `path`.
SafetensorsHeader parse_safetensors_header(std::span<const std::byte> file, const fs::path& path);

// Two programs' habits; every reader takes both.
enum class SafetensorsStyle {
  library,   // of the Python library: ordered by dtype (wide ones first), then name
  in_order,  // of sd-scripts' memory-saving writer: in the order given, JSON as Python's json prints it, data at a
             // multiple of 256 bytes
};

// The tensors in the order of their bytes in a file of this style.
std::vector<TensorDeclaration> in_file_order(std::vector<TensorDeclaration> tensors, SafetensorsStyle style);

// The header for these tensors: `bytes` is what the file begins with, including the length. Throws UserError for a
// dtype that the format lacks or text that is not UTF-8.
struct BuiltHeader {
  SafetensorsHeader header;
  std::string bytes;
};
BuiltHeader build_safetensors_header(const std::vector<TensorDeclaration>& tensors,
                                     const std::optional<Metadata>& metadata,
                                     SafetensorsStyle style = SafetensorsStyle::library);

std::vector<TensorDeclaration> declarations(const std::vector<NamedTensor>& tensors);

}  // namespace difftune
