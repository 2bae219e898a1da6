#include "weights/safetensors.h"

#include <map>
#include <set>

#include "base/error.h"
#include "weights/tensor_bytes.h"

namespace difftune {

SafetensorsFile::SafetensorsFile(const fs::path& path) : file_(std::make_shared<MappedFile>(path)) {
  SafetensorsHeader header = parse_safetensors_header(file_->bytes(), path);
  data_begin_ = header.data_begin;
  entries_ = std::move(header.entries);
  if (header.metadata) metadata_ = std::move(*header.metadata);
  for (size_t i = 0; i < entries_.size(); ++i) index_.emplace(entries_[i].name, i);
}

const SafetensorsEntry& SafetensorsFile::entry(const std::string& key) const {
  const auto found = index_.find(key);
  if (found == index_.end()) fail_missing_key(*this, key);
  return entries_[found->second];
}

std::vector<std::string> SafetensorsFile::keys() const {
  std::vector<std::string> result;
  result.reserve(entries_.size());
  for (const SafetensorsEntry& e : entries_) result.push_back(e.name);
  return result;
}

TensorInfo SafetensorsFile::info(const std::string& key) const { return entry(key).info; }

at::Tensor SafetensorsFile::tensor(const std::string& key) const {
  const SafetensorsEntry& e = entry(key);
  return view_mapped(file_, data_begin_ + e.offset, e.info);
}

void SafetensorsFile::drop_pages(const std::string& key) const {
  const SafetensorsEntry& e = entry(key);
  file_->drop_pages(data_begin_ + e.offset, e.info.num_bytes);
}

void write_safetensors(const fs::path& path, const std::vector<TensorDeclaration>& tensors,
                       const TensorProvider& provide, const std::optional<Metadata>& metadata, SafetensorsStyle style,
                       WrittenWhen written_when) {
  std::set<std::string_view> names;
  for (const TensorDeclaration& t : tensors) DT_CHECK(names.insert(t.name).second, "two tensors called '{}'", t.name);
  const BuiltHeader built = build_safetensors_header(tensors, metadata, style);
  const uint64_t needed = built.bytes.size() + built.header.data_bytes;
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  if (const uint64_t available = free_space_bytes(folder); available < needed) {
    fail("{}: needs {} MiB, but only {} MiB are free there", path.string(), (needed >> 20) + 1, available >> 20);
  }
  AtomicFile file(path, written_when);
  file.write(built.bytes);
  for (const SafetensorsEntry& entry : built.header.entries) {
    const at::Tensor given = provide(entry.name);
    DT_CHECK(given.sizes() == at::IntArrayRef(entry.info.shape), "tensor '{}' was declared as {}", entry.name,
             describe(entry.info));
    const at::Tensor tensor = to_plain_cpu(given, entry.info.dtype);
    file.write(tensor.const_data_ptr(), entry.info.num_bytes);
  }
  file.commit();
}

void write_safetensors(const fs::path& path, const std::vector<NamedTensor>& tensors,
                       const std::optional<Metadata>& metadata) {
  std::map<std::string_view, const at::Tensor*> by_name;
  for (const auto& [name, tensor] : tensors) by_name.emplace(name, &tensor);
  write_safetensors(
      path, declarations(tensors), [&](const std::string& name) { return *by_name.at(name); }, metadata);
}

void write_safetensors(const fs::path& path, const TensorSource& source, const std::optional<Metadata>& metadata,
                       std::optional<c10::ScalarType> dtype) {
  std::vector<TensorDeclaration> tensors;
  for (const std::string& key : source.keys()) {
    const TensorInfo info = source.info(key);
    const bool converts = dtype && c10::isFloatingType(info.dtype);
    tensors.push_back({key, converts ? *dtype : info.dtype, info.shape});
  }
  write_safetensors(
      path, tensors, [&](const std::string& name) { return source.tensor(name); }, metadata);
}

}  // namespace difftune
