// NumPy's .npz archives, the format of the latent and text caches.
// Format: numpy/lib/format.py (npy 1.0 to 3.0) inside a zip archive.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>

#include "weights/tensor_source.h"

namespace difftune {

using NpzArrays = std::map<std::string, at::Tensor>;

// Every array of the file as an own, contiguous CPU tensor: float16/32/64, int8/16/32/64, uint8, bool; stored or
// deflated, C or Fortran order. Each entry's CRC is checked. Throws UserError that names the file where any of it is
// corrupt, so that a cache entry can be made again.
NpzArrays read_npz(const fs::path& path);
NpzArrays parse_npz(std::span<const std::byte> file, const fs::path& path);  // `path` is for messages

// Shapes and dtypes only, without reading the data.
std::map<std::string, TensorInfo> read_npz_info(const fs::path& path);

// Writes an uncompressed archive atomically, as numpy.savez would hold it. Tensors may be on any device and in any
// memory order; a dtype that NumPy lacks (bfloat16) is a UserError.
void write_npz(const fs::path& path, const NpzArrays& arrays);

}  // namespace difftune
