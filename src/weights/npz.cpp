#include "weights/npz.h"

#include <ATen/ops/empty.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include "base/error.h"
#include "weights/byte_reader.h"
#include "weights/tensor_bytes.h"
#include "weights/zip_archive.h"

namespace difftune {
namespace {

struct Dtype {
  std::string_view descr;
  c10::ScalarType type;
};
constexpr std::array kDtypes = {
    Dtype{"<f4", c10::ScalarType::Float}, Dtype{"<f2", c10::ScalarType::Half}, Dtype{"<f8", c10::ScalarType::Double},
    Dtype{"<i8", c10::ScalarType::Long},  Dtype{"<i4", c10::ScalarType::Int},  Dtype{"<i2", c10::ScalarType::Short},
    Dtype{"|i1", c10::ScalarType::Char},  Dtype{"|u1", c10::ScalarType::Byte}, Dtype{"|b1", c10::ScalarType::Bool},
};

struct NpyHeader {
  TensorInfo info;
  bool is_fortran = false;
  size_t data_begin = 0;
};

// Parses the header of an npy file: {'descr': '<f4', 'fortran_order': False, 'shape': (4, 64, 64), }.
class NpyParser {
 public:
  NpyParser(std::string_view npy, const fs::path& path, const std::string& array)
      : reader_(std::as_bytes(std::span(npy)), path), array_(array) {}

  NpyHeader parse() {
    if (reader_.take(6) != "\x93NUMPY") damaged();
    const auto major = reader_.read<uint8_t>();
    reader_.skip(1);
    if (major < 1 || major > 3) damaged();
    const uint32_t length = major == 1 ? reader_.read<uint16_t>() : reader_.read<uint32_t>();
    text_ = reader_.take(length);
    NpyHeader header;
    header.data_begin = reader_.position();
    expect('{');
    bool has_descr = false, has_order = false, has_shape = false;
    while (!accept('}')) {
      const std::string_view key = quoted();
      expect(':');
      if (key == "descr") {
        header.info.dtype = dtype(quoted());
        has_descr = true;
      } else if (key == "fortran_order") {
        header.is_fortran = boolean();
        has_order = true;
      } else if (key == "shape") {
        header.info.shape = shape();
        has_shape = true;
      } else {
        damaged();
      }
      accept(',');
    }
    if (!has_descr || !has_order || !has_shape) damaged();
    const auto num_bytes = checked_num_bytes(header.info.shape, c10::elementSize(header.info.dtype));
    if (!num_bytes) damaged();
    header.info.num_bytes = *num_bytes;
    return header;
  }

 private:
  [[noreturn]] void damaged() { fail("{}: array '{}' has a damaged npy header", reader_.path().string(), array_); }
  bool accept(char c) {
    text_.remove_prefix(std::min(text_.find_first_not_of(" \n"), text_.size()));
    if (text_.empty() || text_[0] != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  void expect(char c) {
    if (!accept(c)) damaged();
  }
  std::string_view quoted() {
    expect('\'');
    const size_t length = text_.find('\'');
    if (length == text_.npos) damaged();
    const std::string_view result = text_.substr(0, length);
    text_.remove_prefix(length + 1);
    return result;
  }
  bool boolean() {
    accept(' ');
    const bool value = text_.starts_with("True");
    if (!value && !text_.starts_with("False")) damaged();
    text_.remove_prefix(value ? 4 : 5);
    return value;
  }
  std::vector<int64_t> shape() {
    std::vector<int64_t> sizes;
    expect('(');
    while (!accept(')')) {
      accept(' ');
      int64_t size = 0;
      const auto parsed = std::from_chars(text_.data(), text_.data() + text_.size(), size);
      if (parsed.ec != std::errc{} || size < 0) damaged();
      text_.remove_prefix(parsed.ptr - text_.data());
      sizes.push_back(size);
      accept(',');
    }
    return sizes;
  }
  c10::ScalarType dtype(std::string_view descr) {
    const auto known = std::find_if(kDtypes.begin(), kDtypes.end(), [&](const Dtype& d) { return d.descr == descr; });
    if (known == kDtypes.end()) {
      fail("{}: array '{}' has the NumPy dtype '{}', which is not supported", reader_.path().string(), array_, descr);
    }
    return known->type;
  }

  ByteReader reader_;
  const std::string& array_;
  std::string_view text_;
};

std::string array_name(const ZipEntry& entry) {
  return entry.name.ends_with(".npy") ? entry.name.substr(0, entry.name.size() - 4) : entry.name;
}

at::Tensor to_tensor(std::string_view npy, const NpyHeader& header, const fs::path& path, const std::string& array) {
  const std::string_view data = npy.substr(header.data_begin);
  if (data.size() != header.info.num_bytes) {
    fail("{}: array '{}' is {} and needs {} bytes, {} found", path.string(), array, describe(header.info),
         header.info.num_bytes, data.size());
  }
  std::vector<int64_t> shape = header.info.shape;
  if (header.is_fortran) std::reverse(shape.begin(), shape.end());
  at::Tensor tensor = at::empty(shape, header.info.dtype);
  if (!data.empty()) std::memcpy(tensor.mutable_data_ptr(), data.data(), data.size());
  if (!header.is_fortran) return tensor;
  std::vector<int64_t> reversed(shape.size());
  for (size_t i = 0; i < reversed.size(); ++i) reversed[i] = static_cast<int64_t>(reversed.size() - 1 - i);
  return tensor.permute(reversed).contiguous();
}

// As numpy.lib.format writes it, including the room it leaves for the first axis to grow.
std::string npy_header(const at::Tensor& tensor, const std::string& array, const fs::path& path) {
  const auto known =
      std::find_if(kDtypes.begin(), kDtypes.end(), [&](const Dtype& d) { return d.type == tensor.scalar_type(); });
  if (known == kDtypes.end()) {
    fail("{}: array '{}' is {}, which NumPy lacks", path.string(), array, dtype_name(tensor.scalar_type()));
  }
  constexpr size_t kGrowthDigits = 21, kPrefixBytes = 10, kAlignment = 64;
  std::string shape = fmt::format("{}", fmt::join(tensor.sizes(), ", "));
  if (tensor.dim() == 1) shape += ',';
  std::string text = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", known->descr, shape);
  if (tensor.dim() > 0) text.append(kGrowthDigits - fmt::formatted_size("{}", tensor.size(0)), ' ');
  text.append(kAlignment - (kPrefixBytes + text.size() + 1) % kAlignment, ' ');
  text += '\n';
  if (text.size() > UINT16_MAX) fail("{}: array '{}' has too many dimensions", path.string(), array);
  std::string header("\x93NUMPY\x01\x00", 8);
  header += static_cast<char>(text.size() & 0xff);
  header += static_cast<char>(text.size() >> 8);
  return header + text;
}

}  // namespace

NpzArrays parse_npz(std::span<const std::byte> file, const fs::path& path) {
  NpzArrays arrays;
  for (const ZipEntry& entry : read_zip_directory(file, path)) {
    const std::string name = array_name(entry);
    const std::string npy = read_zip_entry(file, entry, path);
    const NpyHeader header = NpyParser(npy, path, name).parse();
    arrays[name] = to_tensor(npy, header, path, name);
  }
  return arrays;
}

NpzArrays read_npz(const fs::path& path) {
  const std::string file = read_file(path);  // caches are small; a mapping would cost more than it saves
  return parse_npz(std::as_bytes(std::span(file)), path);
}

std::map<std::string, TensorInfo> read_npz_info(const fs::path& path) {
  const MappedFile file(path);
  std::map<std::string, TensorInfo> infos;
  for (const ZipEntry& entry : read_zip_directory(file.bytes(), path)) {
    const std::string name = array_name(entry);
    const std::string content = entry.is_deflated ? read_zip_entry(file.bytes(), entry, path) : "";
    const std::string_view npy = entry.is_deflated ? std::string_view(content)
                                                   : ByteReader(file.bytes(), path, entry.offset).take(entry.num_bytes);
    infos[name] = NpyParser(npy, path, name).parse().info;
  }
  return infos;
}

void write_npz(const fs::path& path, const NpzArrays& arrays) {
  ZipWriter zip(path);
  for (const auto& [name, tensor] : arrays) {
    const at::Tensor plain = to_plain_cpu(tensor, tensor.scalar_type());
    const auto* data = static_cast<const std::byte*>(plain.const_data_ptr());
    zip.add(name + ".npy", npy_header(plain, name, path), {data, plain.nbytes()});
  }
  zip.commit();
}

}  // namespace difftune
