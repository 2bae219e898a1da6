// What the fuzzer feeds and the replay of its corpus too.
#pragma once

#include <cstddef>
#include <span>

#include "base/error.h"
#include "weights/npz.h"
#include "weights/pickle.h"
#include "weights/safetensors_header.h"
#include "weights/zip_archive.h"

namespace difftune {

// Reads `bytes` with the reader that the first byte chooses. Returns whether it took them; a refusal by UserError is
// an answer like any other.
inline bool read_untrusted(std::span<const std::byte> bytes) {
  if (bytes.empty()) return false;
  const auto reader = static_cast<unsigned>(bytes[0]) % 4;
  const auto file = bytes.subspan(1);
  const fs::path path = "fuzzed";
  try {
    if (reader == 0) {
      const SafetensorsHeader header = parse_safetensors_header(file, path);
      for (const SafetensorsEntry& entry : header.entries) {
        const size_t end = header.data_begin + entry.offset + entry.info.num_bytes;
        DT_CHECK(end >= entry.offset && end <= file.size(), "'{}' lies outside the file", entry.name);
      }
    } else if (reader == 1) {
      const Pickle pickle(file, path);
      DT_CHECK(pickle.end() <= file.size());
    } else if (reader == 3) {
      parse_npz(file, path);
    } else {
      constexpr size_t kMaxInflated = size_t{1} << 22;  // an archive may well hold more; a fuzzer need not wait for it
      for (const ZipEntry& entry : read_zip_directory(file, path)) {
        if (entry.num_bytes <= kMaxInflated) read_zip_entry(file, entry, path);
      }
    }
  } catch (const UserError&) {
    return false;
  }
  return true;
}

}  // namespace difftune
