#include "weight_tools/stream_checkpoint.h"

#include <future>
#include <unordered_map>

#include "base/error.h"
#include "base/progress.h"
#include "weights/tensor_bytes.h"

namespace difftune {
namespace {

BuiltHeader header_of(const std::vector<StreamedTensor>& tensors, const std::optional<Metadata>& metadata) {
  std::vector<TensorDeclaration> declarations;
  for (const StreamedTensor& tensor : tensors) declarations.push_back(tensor.declaration);
  return build_safetensors_header(declarations, metadata);
}

void require_free_space(const fs::path& path, uint64_t needed) {
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  if (const uint64_t available = free_space_bytes(folder); available < needed) {
    fail("{}: needs {} MiB, but only {} MiB are free there", path.string(), (needed >> 20) + 1, available >> 20);
  }
}

}  // namespace

uint64_t stream_checkpoint(const fs::path& path, const std::vector<StreamedTensor>& tensors,
                           const std::optional<Metadata>& metadata, const std::string& label) {
  const BuiltHeader built = header_of(tensors, metadata);
  const uint64_t total = built.bytes.size() + built.header.data_bytes;
  require_free_space(path, total);

  std::unordered_map<std::string_view, const StreamedTensor*> by_name;
  for (const StreamedTensor& tensor : tensors) {
    const bool is_new = by_name.emplace(tensor.declaration.name, &tensor).second;
    DT_CHECK(is_new, "two tensors called '{}'", tensor.declaration.name);
  }
  const auto& entries = built.header.entries;
  const auto make_ahead = [&](size_t i) {
    return std::async(std::launch::async, [&by_name, &entry = entries[i]] {
      const at::Tensor made = by_name.at(entry.name)->make();
      DT_CHECK(made.sizes() == at::IntArrayRef(entry.info.shape), "tensor '{}' was declared as {}", entry.name,
               describe(entry.info));
      return to_plain_cpu(made, entry.info.dtype);
    });
  };

  AtomicFile file(path);
  file.write(built.bytes);
  Progress progress(label, static_cast<int64_t>(built.header.data_bytes >> 20), "MiB");
  uint64_t written = 0;
  std::future<at::Tensor> next;
  if (!entries.empty()) next = make_ahead(0);
  for (size_t i = 0; i < entries.size(); ++i) {
    const at::Tensor tensor = next.get();
    if (i + 1 < entries.size()) next = make_ahead(i + 1);
    file.write(tensor.const_data_ptr(), entries[i].info.num_bytes);
    if (const auto& done = by_name.at(entries[i].name)->written) done();
    written += entries[i].info.num_bytes;
    progress.advance(static_cast<int64_t>(written >> 20) - progress.done());
  }
  file.commit();
  return total;
}

uint64_t streamed_bytes(const std::vector<StreamedTensor>& tensors, const std::optional<Metadata>& metadata) {
  const BuiltHeader built = header_of(tensors, metadata);
  return built.bytes.size() + built.header.data_bytes;
}

}  // namespace difftune
