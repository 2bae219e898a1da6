#include "weights/open_weights.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "weights/joined_source.h"
#include "weights/safetensors.h"
#include "weights/torch_pickle.h"

namespace difftune {
namespace {

// The names that Diffusers and Transformers give to a component's weights, best first. The fp16 variants come last:
// they are used where nothing else is there.
constexpr const char* kComponentFiles[] = {
    "diffusion_pytorch_model.safetensors",
    "model.safetensors",
    "diffusion_pytorch_model.bin",
    "pytorch_model.bin",
    "diffusion_pytorch_model.fp16.safetensors",
    "model.fp16.safetensors",
};

constexpr std::string_view kFirstShard = "00001-of-";

std::string first_bytes(const fs::path& path, size_t count) {
  std::error_code ec;
  if (fs::is_directory(path, ec)) {
    fail("{}: is a folder, expected a file of weights{}", path.string(),
         is_diffusers_folder(path) ? " (it looks like a Diffusers model)" : "");
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) fail("{}: cannot be read ({})", path.string(), fs::exists(path, ec) ? "no permission" : "no such file");
  std::string bytes(count, '\0');
  file.read(bytes.data(), static_cast<std::streamsize>(count));
  bytes.resize(static_cast<size_t>(file.gcount()));
  return bytes;
}

[[noreturn]] void fail_unknown(const fs::path& path, std::string_view begin) {
  const char* what = "expected safetensors or a PyTorch checkpoint";
  if (begin.empty()) what = "the file is empty";
  if (begin.starts_with("version https://git-lfs")) what = "it is a Git LFS pointer; download the file it points to";
  if (begin.starts_with("<")) what = "it is a web page; the download went wrong";
  if (begin.starts_with("GGUF")) what = "it is GGUF, which is not supported; use safetensors";
  fail("{}: is no file of weights: {}", path.string(), what);
}

// Opens what "weight_map" of an index.json names.
std::shared_ptr<const TensorSource> open_shards(const fs::path& index) {
  std::map<std::string, std::shared_ptr<const TensorSource>> shards;
  std::map<std::string, std::string> keys;
  try {
    keys = nlohmann::json::parse(read_file(index)).at("weight_map").get<std::map<std::string, std::string>>();
  } catch (const nlohmann::json::exception&) {
    fail("{}: is no index of shards (JSON with a weight_map of texts)", index.string());
  }
  for (const auto& [key, file] : keys) {
    if (fs::path(file).filename() != file) fail("{}: names the file '{}' outside its folder", index.string(), file);
    auto& shard = shards[file];
    if (!shard) shard = open_weights(index.parent_path() / file);
    if (!shard->contains(key))
      fail("{}: lacks the tensor '{}' that {} lists", shard->path().string(), key, index.string());
  }
  if (shards.empty()) fail("{}: lists no tensors", index.string());
  std::vector<JoinedSource::Part> parts;
  for (auto& [file, shard] : shards) parts.push_back({"", std::move(shard)});
  return std::make_shared<JoinedSource>(index.parent_path(), std::move(parts));
}

}  // namespace

std::shared_ptr<const TensorSource> open_weights(const fs::path& path) {
  const std::string begin = first_bytes(path, 64);
  // First safetensors: the length it begins with may happen to look like a zip archive or a pickle.
  const bool is_safetensors = begin.size() >= 9 && begin[8] == '{' && begin.substr(4, 4) == std::string(4, '\0');
  const bool is_cut_short = !begin.empty() && begin.size() < 9 && path.extension() == ".safetensors";
  if (is_safetensors || is_cut_short) return std::make_shared<SafetensorsFile>(path);
  const bool is_pickle = begin.size() > 1 && begin[0] == '\x80' && begin[1] >= 2 && begin[1] <= 5;
  if (begin.starts_with("PK\3\4") || is_pickle) return std::make_shared<TorchCheckpoint>(path);
  fail_unknown(path, begin);
}

std::shared_ptr<const TensorSource> open_sharded_weights(const fs::path& path) {
  const std::string name = path.filename().string();
  const size_t at = name.find(kFirstShard);
  if (at == std::string::npos) return open_weights(path);
  int num_shards = 0;
  std::from_chars(name.data() + at + kFirstShard.size(), name.data() + name.size(), num_shards);
  std::vector<JoinedSource::Part> parts;
  for (int shard = 1; shard <= num_shards; ++shard) {
    std::string shard_name = name;
    shard_name.replace(at, 5, fmt::format("{:05}", shard));
    parts.push_back({"", open_weights(path.parent_path() / shard_name)});
  }
  if (parts.empty()) fail("{}: its name gives no number of files", path.string());
  return std::make_shared<JoinedSource>(path.parent_path(), std::move(parts));
}

std::shared_ptr<const TensorSource> open_component_folder(const fs::path& folder, const std::string& variant) {
  std::vector<std::string> names;
  for (const std::string name : kComponentFiles) {
    const size_t dot = name.find('.');
    if (variant.empty()) {
      names.push_back(name);
    } else if (name.find('.', dot + 1) == name.npos) {
      names.push_back(fmt::format("{}.{}{}", name.substr(0, dot), variant, name.substr(dot)));
    }
  }
  for (const std::string& name : names) {
    const fs::path file = folder / name;
    if (fs::path index = file.string() + ".index.json"; fs::exists(index)) return open_shards(index);
    if (fs::exists(file)) return open_weights(file);
  }
  std::error_code ec;
  for (const auto& entry : fs::directory_iterator(folder, ec)) {
    const std::string name = entry.path().filename().string();
    const bool has_variant = variant.empty() || name.find("." + variant + ".") != std::string::npos;
    if (has_variant && name.find(kFirstShard) != std::string::npos && name.ends_with(".safetensors")) {
      return open_sharded_weights(entry.path());
    }
  }
  fail("{}: has no weights; expected {}", folder.string(), fmt::join(names, " or "));
}

std::shared_ptr<const TensorSource> open_diffusers_folder(const fs::path& folder,
                                                          const std::vector<std::string>& components,
                                                          const std::string& variant) {
  std::vector<JoinedSource::Part> parts;
  for (const std::string& name : components)
    parts.push_back({name + ".", open_component_folder(folder / name, variant)});
  return std::make_shared<JoinedSource>(folder, std::move(parts));
}

bool is_diffusers_folder(const fs::path& path) {
  std::error_code ec;
  return fs::is_directory(path, ec) &&
         (fs::exists(path / "model_index.json", ec) || fs::is_directory(path / "unet", ec) ||
          fs::is_directory(path / "transformer", ec));
}

}  // namespace difftune
