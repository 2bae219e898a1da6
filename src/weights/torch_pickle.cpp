#include "weights/torch_pickle.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "base/error.h"
#include "base/log.h"
#include "weights/byte_reader.h"
#include "weights/pickle.h"
#include "weights/tensor_bytes.h"
#include "weights/zip_archive.h"

namespace difftune {
namespace {

using Kind = PickleValue::Kind;

struct NamedDtype {
  std::string_view name;
  c10::ScalarType type;
};
// Typed storages, as torch.FloatStorage and in old files torch.cuda.FloatStorage.
constexpr std::array kStorages = {
    NamedDtype{"FloatStorage", c10::ScalarType::Float},   NamedDtype{"HalfStorage", c10::ScalarType::Half},
    NamedDtype{"DoubleStorage", c10::ScalarType::Double}, NamedDtype{"BFloat16Storage", c10::ScalarType::BFloat16},
    NamedDtype{"LongStorage", c10::ScalarType::Long},     NamedDtype{"IntStorage", c10::ScalarType::Int},
    NamedDtype{"ShortStorage", c10::ScalarType::Short},   NamedDtype{"CharStorage", c10::ScalarType::Char},
    NamedDtype{"ByteStorage", c10::ScalarType::Byte},     NamedDtype{"BoolStorage", c10::ScalarType::Bool},
    NamedDtype{"UntypedStorage", c10::ScalarType::Byte},
};
constexpr std::array kDtypes = {
    c10::ScalarType::Float,  c10::ScalarType::Half,          c10::ScalarType::Double,      c10::ScalarType::BFloat16,
    c10::ScalarType::Long,   c10::ScalarType::Int,           c10::ScalarType::Short,       c10::ScalarType::Char,
    c10::ScalarType::Byte,   c10::ScalarType::Bool,          c10::ScalarType::UInt16,      c10::ScalarType::UInt32,
    c10::ScalarType::UInt64, c10::ScalarType::Float8_e4m3fn, c10::ScalarType::Float8_e5m2,
};

// Where the bytes of a storage lie in the file.
struct StorageBytes {
  size_t offset = 0, num_bytes = 0;
};
using StorageMap = std::map<std::string, StorageBytes, std::less<>>;

// A storage as the pickle names it.
struct Storage {
  std::string key;
  c10::ScalarType dtype;
  int64_t num_elements = 0;
  int64_t view_offset = 0;  // in elements; of a storage inside a storage, in legacy files
};

std::optional<c10::ScalarType> storage_dtype(const PickleValue& type) {
  if (!type.is(Kind::global) || !type.text.starts_with("torch.")) return std::nullopt;
  const std::string_view name = std::string_view(type.text).substr(type.text.rfind('.') + 1);
  const auto known = std::find_if(kStorages.begin(), kStorages.end(), [&](const auto& s) { return s.name == name; });
  return known == kStorages.end() ? std::nullopt : std::optional(known->type);
}

// Reads ('storage', type, key, location, number of elements[, (view key, offset, size)]).
std::optional<Storage> as_storage(const PickleValue& value) {
  if (!value.is(Kind::persistent) || value.items[0]->items.size() < 5) return std::nullopt;
  const auto& id = value.items[0]->items;
  const auto dtype = storage_dtype(*id[1]);
  if (!id[0]->is_text("storage") || !dtype || !id[2]->is(Kind::text) || !id[4]->is(Kind::integer)) return std::nullopt;
  Storage storage{id[2]->text, *dtype, id[4]->integer};
  if (id.size() > 5 && id[5]->is(Kind::tuple) && id[5]->items.size() == 3)
    storage.view_offset = id[5]->items[1]->integer;
  return storage;
}

std::optional<std::vector<int64_t>> as_sizes(const PickleValue& value) {
  if (value.callee() == "torch.Size" && value.arguments().size() == 1) return as_sizes(*value.arguments()[0]);
  if (!value.is(Kind::tuple) && !value.is(Kind::list)) return std::nullopt;
  std::vector<int64_t> sizes;
  for (const PickleValue* item : value.items) {
    if (!item->is(Kind::integer)) return std::nullopt;
    sizes.push_back(item->integer);
  }
  return sizes;
}

// Turns the call nodes that rebuild tensors into places in the file.
class TensorReader {
 public:
  TensorReader(const fs::path& path, const StorageMap& storages) : path_(path.string()), storages_(storages) {}

  static bool is_tensor(const PickleValue& value) {
    return value.callee().starts_with("torch._utils._rebuild_") ||
           value.callee() == "torch._tensor._rebuild_from_type_v2";
  }

  TorchCheckpoint::Tensor read(const std::string& key, const PickleValue& value) const {
    std::string_view callee = value.callee();
    const std::vector<const PickleValue*>* arguments = &value.arguments();
    // Wrappers: the tensor is the first argument, or the call is spread over the first and third.
    for (int depth = 0; depth < 4 && !arguments->empty(); ++depth) {
      if (callee.starts_with("torch._utils._rebuild_parameter") && (*arguments)[0]->is(Kind::call)) {
        const PickleValue& inner = *(*arguments)[0];
        callee = inner.callee();
        arguments = &inner.arguments();
      } else if (callee == "torch._tensor._rebuild_from_type_v2" && arguments->size() >= 3) {
        callee = (*arguments)[0]->text;
        arguments = &(*arguments)[2]->items;
      }
    }
    const bool is_v3 = callee == "torch._utils._rebuild_tensor_v3" && arguments->size() >= 7;
    const bool is_known = callee == "torch._utils._rebuild_tensor_v2" || callee == "torch._utils._rebuild_tensor";
    if (!is_v3 && !(is_known && arguments->size() >= 4)) {
      fail("{}: tensor '{}' is rebuilt by '{}', which is not supported", path_, key, callee);
    }
    const auto storage = as_storage(*(*arguments)[0]);
    const auto shape = as_sizes(*(*arguments)[2]), strides = as_sizes(*(*arguments)[3]);
    if (!storage || !(*arguments)[1]->is(Kind::integer) || !shape || !strides) {
      fail("{}: tensor '{}' has a storage or shape that is not supported", path_, key);
    }
    const auto dtype = is_v3 ? tensor_dtype(*(*arguments)[6]) : storage->dtype;
    return place(key, *storage, dtype, (*arguments)[1]->integer, *shape, *strides);
  }

 private:
  // torch.float8_e4m3fn and the like, for dtypes that have no storage type of their own.
  c10::ScalarType tensor_dtype(const PickleValue& value) const {
    for (const c10::ScalarType type : kDtypes) {
      if (value.is(Kind::global) && value.text == fmt::format("torch.{}", dtype_name(type))) return type;
    }
    fail("{}: has a tensor of dtype '{}', which is not supported", path_, value.text);
  }

  TorchCheckpoint::Tensor place(const std::string& key, const Storage& storage, c10::ScalarType dtype, int64_t offset,
                                const std::vector<int64_t>& shape, const std::vector<int64_t>& strides) const {
    const auto found = storages_.find(storage.key);
    if (found == storages_.end()) {
      fail("{}: the bytes of tensor '{}' (storage {}) are missing; the file is truncated", path_, key, storage.key);
    }
    const auto element_bytes = static_cast<int64_t>(c10::elementSize(dtype));
    const auto num_bytes = checked_num_bytes(shape, c10::elementSize(dtype));
    int64_t first = 0, last = 0;  // elements from the start of the storage
    bool is_valid = num_bytes.has_value() && strides.size() == shape.size() && offset >= 0 &&
                    storage.view_offset >= 0 && !__builtin_add_overflow(offset, storage.view_offset, &first);
    last = first;
    for (size_t i = 0; is_valid && i < shape.size(); ++i) {
      int64_t step = 0;
      is_valid = strides[i] >= 0 && !__builtin_mul_overflow(std::max<int64_t>(shape[i] - 1, 0), strides[i], &step) &&
                 !__builtin_add_overflow(last, step, &last);
    }
    const auto capacity = static_cast<int64_t>(found->second.num_bytes) / element_bytes;
    // More elements than the storage has would be an expanded tensor, whose size is not bounded by the file's.
    if (!is_valid || (*num_bytes > 0 && (last >= capacity || *num_bytes > found->second.num_bytes))) {
      fail("{}: tensor '{}' of shape [{}] reaches beyond its storage of {} bytes; the file is damaged", path_, key,
           fmt::join(shape, ", "), found->second.num_bytes);
    }
    TorchCheckpoint::Tensor tensor{{dtype, shape, *num_bytes}, strides};
    if (*num_bytes > 0) {
      tensor.offset = found->second.offset + static_cast<size_t>(first * element_bytes);
      tensor.extent_bytes = static_cast<size_t>((last - first + 1) * element_bytes);
    }
    return tensor;
  }

  std::string path_;
  const StorageMap& storages_;
};

bool has_tensors(const PickleValue& value) {
  return std::any_of(value.entries.begin(), value.entries.end(),
                     [](const auto& entry) { return TensorReader::is_tensor(*entry.second); });
}

// The dictionary of tensors: the innermost one under "state_dict" or "module" that has any, else the top.
const PickleValue& find_state_dict(const PickleValue& root) {
  const PickleValue *found = &root, *value = &root;
  constexpr int kMaxDepth = 4;
  for (int depth = 0; depth < kMaxDepth && value != nullptr; ++depth) {
    if (has_tensors(*value)) found = value;
    const PickleValue* inner = value->find("state_dict");
    value = inner != nullptr ? inner : value->find("module");
  }
  return *found;
}

// Names of the calls that a file asks for and that could do harm, were they made.
std::vector<std::string> harmful_calls(const Pickle& pickle) {
  static constexpr std::array<std::string_view, 14> kModules = {
      "os",    "posix", "nt",     "subprocess", "sys",     "shutil", "socket",
      "runpy", "pty",   "ctypes", "importlib",  "marshal", "pickle", "webbrowser"};
  static constexpr std::array<std::string_view, 7> kBuiltins = {"eval",    "exec", "execfile",  "compile",
                                                                "getattr", "open", "__import__"};
  std::set<std::string> names;
  for (const PickleValue& value : pickle.values()) {
    const std::string_view callee = value.callee();
    const std::string_view module = callee.substr(0, callee.find('.'));
    const std::string_view name = callee.substr(callee.rfind('.') + 1);
    const bool is_builtin = module == "builtins" || module == "__builtin__";
    if (std::find(kModules.begin(), kModules.end(), module) != kModules.end() ||
        (is_builtin && std::find(kBuiltins.begin(), kBuiltins.end(), name) != kBuiltins.end())) {
      names.emplace(callee);
    }
  }
  return {names.begin(), names.end()};
}

struct Content {
  Pickle pickle;
  StorageMap storages;
};

Content read_zip(const MappedFile& file) {
  const std::string path = file.path().string();
  const std::vector<ZipEntry> entries = read_zip_directory(file.bytes(), file.path());
  const std::string_view kPickleName = "data.pkl";
  const auto pickle_entry = std::find_if(entries.begin(), entries.end(), [&](const ZipEntry& entry) {
    return entry.name.ends_with(kPickleName) && std::count(entry.name.begin(), entry.name.end(), '/') <= 1;
  });
  if (pickle_entry == entries.end()) {
    fail("{}: is a zip archive, but no PyTorch checkpoint (it has no data.pkl); unpack it if the model is inside",
         path);
  }
  const std::string prefix = pickle_entry->name.substr(0, pickle_entry->name.size() - kPickleName.size());
  StorageMap storages;
  for (const ZipEntry& entry : entries) {
    if (!entry.name.starts_with(prefix)) continue;
    const std::string name = entry.name.substr(prefix.size());
    if (name == "constants.pkl") fail("{}: is a TorchScript program, expected a checkpoint with a state dict", path);
    if (name == "byteorder" && read_zip_entry(file.bytes(), entry, file.path()) != "little") {
      fail("{}: was written on a big-endian machine, which is not supported", path);
    }
    if (!name.starts_with("data/")) continue;
    if (entry.is_deflated) {
      fail("{}: its tensors are compressed, which torch.save never does; save it again with torch.save", path);
    }
    storages[name.substr(5)] = {entry.offset, entry.num_bytes};
  }
  if (pickle_entry->is_deflated) fail("{}: its data.pkl is compressed, which torch.save never does", path);
  const auto pickle_bytes = file.bytes().subspan(0, pickle_entry->offset + pickle_entry->num_bytes);
  return {Pickle(pickle_bytes, file.path(), pickle_entry->offset), std::move(storages)};
}

// The format before PyTorch 1.6: pickles of a magic number, a version, system facts, the object and the list of storage
// keys, then each storage as its number of elements and its bytes.
Content read_legacy(const MappedFile& file) {
  static constexpr std::string_view kMagic = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
  const std::string path = file.path().string();
  const Pickle magic(file.bytes(), file.path());
  if (magic.root().text != kMagic) fail("{}: is a Python pickle, but was not written by torch.save", path);
  const Pickle version(file.bytes(), file.path(), magic.end());
  const Pickle system(file.bytes(), file.path(), version.end());
  const PickleValue* little_endian = system.root().find("little_endian");
  if (little_endian != nullptr && little_endian->integer == 0) {
    fail("{}: was written on a big-endian machine, which is not supported", path);
  }
  Pickle object(file.bytes(), file.path(), system.end());
  std::map<std::string, size_t> element_bytes;
  for (const PickleValue& value : object.values()) {
    if (const auto storage = as_storage(value)) element_bytes[storage->key] = c10::elementSize(storage->dtype);
  }
  const Pickle keys(file.bytes(), file.path(), object.end());
  ByteReader reader(file.bytes(), file.path(), keys.end());
  StorageMap storages;
  for (const PickleValue* key : keys.root().items) {
    const auto known = element_bytes.find(key->text);
    if (known == element_bytes.end())
      fail("{}: storage '{}' is of an unknown type; the file is damaged", path, key->text);
    uint64_t num_bytes = 0;
    if (__builtin_mul_overflow(reader.read<uint64_t>(), known->second, &num_bytes)) num_bytes = UINT64_MAX;
    const size_t offset = reader.position();
    reader.skip(num_bytes);
    storages[key->text] = {offset, num_bytes};
  }
  return {std::move(object), std::move(storages)};
}

}  // namespace

TorchCheckpoint::TorchCheckpoint(const fs::path& path) : file_(std::make_shared<MappedFile>(path)) {
  const ByteReader reader(file_->bytes(), file_->path());
  const bool is_zip = reader.remaining() >= 4 && ByteReader(reader).take(4) == "PK\3\4";
  const Content content = is_zip ? read_zip(*file_) : read_legacy(*file_);

  refused_calls_ = harmful_calls(content.pickle);
  if (!refused_calls_.empty()) {
    log::warning(
        "{}: asks to call {} when it is opened. difftune runs nothing from a checkpoint, but other programs "
        "would: do not trust this file.",
        path.string(), fmt::join(refused_calls_, ", "));
  }
  const PickleValue& state_dict = find_state_dict(content.pickle.root());
  if (!has_tensors(state_dict)) {
    const std::string_view callee = content.pickle.root().callee();
    fail("{}: holds no state dict{}; expected a dictionary of tensors, at the top or under 'state_dict'", path.string(),
         callee.empty() ? "" : fmt::format(" but a pickled {}", callee));
  }
  for (const auto& [key, value] : content.pickle.root().entries) {
    if (key->is(Kind::text) && value->is(Kind::integer)) integers_[key->text] = value->integer;
  }
  const TensorReader tensors(path, content.storages);
  for (const auto& [key, value] : state_dict.entries) {
    if (!key->is(Kind::text) || !TensorReader::is_tensor(*value)) continue;
    const bool is_new = tensors_.insert_or_assign(key->text, tensors.read(key->text, *value)).second;
    if (is_new) keys_.push_back(key->text);
  }
}

std::optional<int64_t> TorchCheckpoint::integer(const std::string& name) const {
  const auto found = integers_.find(name);
  return found == integers_.end() ? std::nullopt : std::optional(found->second);
}

const TorchCheckpoint::Tensor& TorchCheckpoint::place(const std::string& key) const {
  const auto found = tensors_.find(key);
  if (found == tensors_.end()) fail_missing_key(*this, key);
  return found->second;
}

TensorInfo TorchCheckpoint::info(const std::string& key) const { return place(key).info; }

at::Tensor TorchCheckpoint::tensor(const std::string& key) const {
  const Tensor& t = place(key);
  return view_mapped(file_, t.offset, t.info, t.strides, t.extent_bytes);
}

void TorchCheckpoint::drop_pages(const std::string& key) const {
  const Tensor& t = place(key);
  file_->drop_pages(t.offset, t.extent_bytes);
}

}  // namespace difftune
