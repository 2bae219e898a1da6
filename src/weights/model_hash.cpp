#include "weights/model_hash.h"

#include <algorithm>
#include <fstream>

#include "base/error.h"
#include "base/sha256.h"
#include "weights/safetensors_header.h"
#include "weights/tensor_bytes.h"

namespace difftune {
namespace {

constexpr uint64_t kWindowBegin = 0x100000, kWindowEnd = kWindowBegin + 0x10000;
constexpr size_t kLegacyDigits = 8;
constexpr size_t kBlockBytes = size_t{1} << 20;

// Hashes the part of a stream of bytes that lies in the window of the legacy hash.
class WindowHash {
 public:
  void update(const void* data, size_t num_bytes) {
    const uint64_t begin = std::max(position_, kWindowBegin), end = std::min(position_ + num_bytes, kWindowEnd);
    if (begin < end) sha_.update(static_cast<const char*>(data) + (begin - position_), end - begin);
    position_ += num_bytes;
  }
  std::string hex() { return sha_.hex().substr(0, kLegacyDigits); }

 private:
  Sha256 sha_;
  uint64_t position_ = 0;
};

// What the reference's metadata say of a path that is no file, or "".
std::string name_of_no_file(const fs::path& path) {
  std::error_code ec;
  if (fs::is_directory(path, ec)) return "IsADirectory";
  return fs::exists(path, ec) ? "" : "NOFILE";
}

std::string hash_file(const fs::path& path, uint64_t begin, uint64_t end) {
  std::ifstream file(path, std::ios::binary);
  if (!file) fail("{}: cannot be read", path.string());
  file.seekg(static_cast<std::streamoff>(begin));
  Sha256 sha;
  std::string block(kBlockBytes, '\0');
  for (uint64_t left = end - begin; left > 0;) {
    file.read(block.data(), static_cast<std::streamsize>(std::min<uint64_t>(left, block.size())));
    const auto count = static_cast<uint64_t>(file.gcount());
    if (count == 0) break;
    sha.update(block.data(), count);
    left -= count;
  }
  if (file.bad()) fail("{}: cannot be read to its end", path.string());
  return sha.hex();
}

}  // namespace

LoraHashes lora_hashes(const std::vector<NamedTensor>& tensors, const Metadata& metadata) {
  Metadata training;
  for (const auto& entry : metadata) {
    if (entry.first.starts_with("ss_")) training.insert(entry);
  }
  std::map<std::string_view, const at::Tensor*> by_name;
  for (const auto& [name, tensor] : tensors) by_name.emplace(name, &tensor);

  const BuiltHeader built = build_safetensors_header(declarations(tensors), training);
  Sha256 data_hash;
  WindowHash window;
  window.update(built.bytes.data(), built.bytes.size());
  for (const SafetensorsEntry& entry : built.header.entries) {
    const at::Tensor plain = to_plain_cpu(*by_name.at(entry.name), entry.info.dtype);
    data_hash.update(plain.const_data_ptr(), entry.info.num_bytes);
    window.update(plain.const_data_ptr(), entry.info.num_bytes);
  }
  return {data_hash.hex(), window.hex()};
}

std::string legacy_file_hash(const fs::path& path) {
  if (std::string name = name_of_no_file(path); !name.empty()) return name;
  return hash_file(path, kWindowBegin, kWindowEnd).substr(0, kLegacyDigits);
}

std::string file_sha256(const fs::path& path) {
  if (std::string name = name_of_no_file(path); !name.empty()) return name;
  return hash_file(path, 0, UINT64_MAX);
}

}  // namespace difftune
