#include "weights/torch_writer.h"

#include "base/error.h"
#include "weights/tensor_bytes.h"
#include "weights/zip_archive.h"

namespace difftune {
namespace {

constexpr size_t kAlignment = 64;  // of torch.save, so that the tensors can be mapped

std::string_view storage_class(c10::ScalarType dtype) {
  using enum c10::ScalarType;
  switch (dtype) {
    case Float:
      return "FloatStorage";
    case Half:
      return "HalfStorage";
    case Double:
      return "DoubleStorage";
    case BFloat16:
      return "BFloat16Storage";
    case Long:
      return "LongStorage";
    case Int:
      return "IntStorage";
    case Short:
      return "ShortStorage";
    case Char:
      return "CharStorage";
    case Byte:
      return "ByteStorage";
    case Bool:
      return "BoolStorage";
    default:
      return "";
  }
}

// Opcodes of protocol 2: CPython's Lib/pickletools.py.
class PickleWriter {
 public:
  PickleWriter() { out_ = "\x80\x02"; }
  void text(std::string_view utf8) {
    out_ += 'X';
    const auto length = static_cast<uint32_t>(utf8.size());
    raw(&length, sizeof length);
    out_ += utf8;
  }
  void integer(int64_t value) {
    out_ += "\x8a\x08";  // LONG1 of 8 bytes
    raw(&value, sizeof value);
  }
  void global(std::string_view module, std::string_view name) { out_ += fmt::format("c{}\n{}\n", module, name); }
  void begin_dict() { out_ += "}("; }
  void end_dict() { out_ += 'u'; }
  void begin_tuple() { out_ += '('; }
  void end_tuple() { out_ += 't'; }
  void no() { out_ += '\x89'; }
  void call() { out_ += 'R'; }
  void persistent() { out_ += 'Q'; }
  std::string finish() { return std::move(out_) + '.'; }

 private:
  void raw(const void* data, size_t size) { out_.append(static_cast<const char*>(data), size); }
  std::string out_;
};

void write_sizes(PickleWriter& pickle, const std::vector<int64_t>& sizes) {
  pickle.begin_tuple();
  for (const int64_t size : sizes) pickle.integer(size);
  pickle.end_tuple();
}

// torch._utils._rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks)
void write_tensor(PickleWriter& pickle, const TensorDeclaration& tensor, size_t storage) {
  int64_t num_elements = 1;
  std::vector<int64_t> strides(tensor.shape.size());
  for (size_t i = strides.size(); i-- > 0;) {
    strides[i] = num_elements;
    num_elements *= tensor.shape[i];
  }
  pickle.global("torch._utils", "_rebuild_tensor_v2");
  pickle.begin_tuple();
  pickle.begin_tuple();
  pickle.text("storage");
  pickle.global("torch", storage_class(tensor.dtype));
  pickle.text(std::to_string(storage));
  pickle.text("cpu");
  pickle.integer(num_elements);
  pickle.end_tuple();
  pickle.persistent();
  pickle.integer(0);
  write_sizes(pickle, tensor.shape);
  write_sizes(pickle, strides);
  pickle.no();
  pickle.global("collections", "OrderedDict");
  pickle.begin_tuple();
  pickle.end_tuple();
  pickle.call();
  pickle.end_tuple();
  pickle.call();
}

std::string pickle_of(const std::vector<TensorDeclaration>& tensors, const TorchFileContent& content) {
  PickleWriter pickle;
  pickle.begin_dict();
  if (content.state_dict_beside) {
    pickle.text("state_dict");
    pickle.begin_dict();
  }
  for (size_t i = 0; i < tensors.size(); ++i) {
    pickle.text(tensors[i].name);
    write_tensor(pickle, tensors[i], i);
  }
  if (content.state_dict_beside) {
    pickle.end_dict();
    for (const auto& [name, value] : *content.state_dict_beside) {
      pickle.text(name);
      pickle.integer(value);
    }
  }
  pickle.end_dict();
  return pickle.finish();
}

}  // namespace

void write_torch_checkpoint(const fs::path& path, const std::vector<TensorDeclaration>& tensors,
                            const TensorProvider& provide, const TorchFileContent& content, WrittenWhen written_when) {
  for (const TensorDeclaration& tensor : tensors) {
    if (storage_class(tensor.dtype).empty()) {
      fail("tensor '{}' is {}, which a PyTorch checkpoint cannot hold; save as .safetensors", tensor.name,
           dtype_name(tensor.dtype));
    }
  }
  ZipWriter zip(path, kAlignment, written_when);
  zip.add("archive/data.pkl", pickle_of(tensors, content), {});
  zip.add("archive/byteorder", "little", {});
  for (size_t i = 0; i < tensors.size(); ++i) {
    const at::Tensor given = provide(tensors[i].name);
    DT_CHECK(given.sizes() == at::IntArrayRef(tensors[i].shape), "tensor '{}' was declared otherwise", tensors[i].name);
    const at::Tensor plain = to_plain_cpu(given, tensors[i].dtype);
    zip.add(fmt::format("archive/data/{}", i), "",
            {static_cast<const std::byte*>(plain.const_data_ptr()), plain.nbytes()});
  }
  zip.add("archive/version", "3\n", {});
  zip.commit();
}

}  // namespace difftune
