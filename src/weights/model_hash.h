// The hashes by which web UIs and model sites recognise a file.
#pragma once

#include <string>
#include <vector>

#include "weights/tensor_source.h"

namespace difftune {

struct LoraHashes {
  std::string sshs_model_hash;   // SHA-256 of all tensor bytes of the file
  std::string sshs_legacy_hash;  // first 8 digits of the SHA-256 of 64 KiB at 1 MiB of the file
};

// The hashes of a LoRA saved with these tensors, on any device. Only the ss_* entries of `metadata` count, so that
// those a site adds later do not change the legacy hash. Needs no copy of the file in memory.
LoraHashes lora_hashes(const std::vector<NamedTensor>& tensors, const Metadata& metadata);

// First 8 digits of the SHA-256 of bytes 0x100000 to 0x10FFFF ("old" hash of the AUTOMATIC1111 web UI). As the
// reference's metadata have it, a folder gives "IsADirectory" and a missing file "NOFILE".
std::string legacy_file_hash(const fs::path& path);
// SHA-256 of the whole file; folders and missing files as above.
std::string file_sha256(const fs::path& path);

}  // namespace difftune
