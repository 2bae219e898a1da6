#include "weights/safetensors_header.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "base/error.h"
#include "weights/tensor_bytes.h"

namespace difftune {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors data is little-endian and is mapped as it is");

// The Python library refuses longer headers; the longest real ones are a few MiB.
constexpr uint64_t kMaxHeaderBytes = 100'000'000;

struct Dtype {
  std::string_view name;
  c10::ScalarType type;
};
// In the order in which the tensors of a file are sorted.
constexpr std::array kDtypes = {
    Dtype{"U64", c10::ScalarType::UInt64},
    Dtype{"I64", c10::ScalarType::Long},
    Dtype{"F64", c10::ScalarType::Double},
    Dtype{"F32", c10::ScalarType::Float},
    Dtype{"U32", c10::ScalarType::UInt32},
    Dtype{"I32", c10::ScalarType::Int},
    Dtype{"BF16", c10::ScalarType::BFloat16},
    Dtype{"F16", c10::ScalarType::Half},
    Dtype{"U16", c10::ScalarType::UInt16},
    Dtype{"I16", c10::ScalarType::Short},
    Dtype{"F8_E4M3", c10::ScalarType::Float8_e4m3fn},
    Dtype{"F8_E5M2", c10::ScalarType::Float8_e5m2},
    Dtype{"I8", c10::ScalarType::Char},
    Dtype{"U8", c10::ScalarType::Byte},
    Dtype{"BOOL", c10::ScalarType::Bool},
};

size_t rank_of(c10::ScalarType type) {
  return std::find_if(kDtypes.begin(), kDtypes.end(), [&](const Dtype& d) { return d.type == type; }) - kDtypes.begin();
}

// Reads the JSON of one header; every failure names the file and, where it can, the tensor.
class HeaderParser {
 public:
  HeaderParser(std::string_view json, const fs::path& path) : path_(path.string()), json_(json) {}

  SafetensorsHeader parse() {
    const nlohmann::json root = parse_json();
    if (!root.is_object()) fail("{}: the safetensors header is not a JSON object; the file is damaged", path_);
    SafetensorsHeader header;
    for (const auto& [name, value] : root.items()) {
      if (name == "__metadata__") {
        header.metadata = parse_metadata(value);
      } else {
        header.entries.push_back(parse_entry(name, value));
      }
    }
    std::sort(header.entries.begin(), header.entries.end(), [](const auto& a, const auto& b) {
      return std::pair(a.offset, a.offset + a.info.num_bytes) < std::pair(b.offset, b.offset + b.info.num_bytes);
    });
    header.data_bytes = check_offsets(header.entries);
    return header;
  }

 private:
  nlohmann::json parse_json() {
    std::set<std::string> names;
    const auto refuse_duplicates = [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json& value) {
      if (event == nlohmann::json::parse_event_t::key && depth == 1 && !names.insert(value.get<std::string>()).second) {
        fail("{}: the safetensors header names '{}' twice; the file is damaged", path_, value.get<std::string>());
      }
      return true;
    };
    try {
      return nlohmann::json::parse(json_, refuse_duplicates);
    } catch (const nlohmann::json::exception&) {
      fail("{}: the safetensors header is not valid JSON; the file is damaged or is not a safetensors file", path_);
    }
  }

  Metadata parse_metadata(const nlohmann::json& value) {
    if (!value.is_object()) fail("{}: __metadata__ in the safetensors header is not an object of texts", path_);
    Metadata metadata;
    for (const auto& [key, text] : value.items()) {
      if (!text.is_string()) fail("{}: __metadata__ '{}' in the safetensors header is not a text", path_, key);
      metadata.emplace(key, text.get<std::string>());
    }
    return metadata;
  }

  SafetensorsEntry parse_entry(const std::string& name, const nlohmann::json& value) {
    const auto is_sizes = [](const nlohmann::json& list) {
      return list.is_array() &&
             std::all_of(list.begin(), list.end(), [](const auto& x) { return x.is_number_unsigned(); });
    };
    if (!value.is_object() || !value.contains("dtype") || !value["dtype"].is_string() || !value.contains("shape") ||
        !is_sizes(value["shape"]) || !value.contains("data_offsets") || !is_sizes(value["data_offsets"]) ||
        value["data_offsets"].size() != 2) {
      fail("{}: the header entry of tensor '{}' lacks a dtype, shape or data_offsets; the file is damaged", path_,
           name);
    }
    const auto dtype = value["dtype"].get<std::string>();
    const auto known = std::find_if(kDtypes.begin(), kDtypes.end(), [&](const Dtype& d) { return d.name == dtype; });
    if (known == kDtypes.end()) fail("{}: tensor '{}' has the dtype '{}', which is not supported", path_, name, dtype);

    SafetensorsEntry entry;
    entry.name = name;
    entry.info.dtype = known->type;
    bool is_possible = true;
    for (const auto& size : value["shape"]) {
      is_possible &= size.get<uint64_t>() <= INT64_MAX;
      entry.info.shape.push_back(size.get<int64_t>());
    }
    const auto num_bytes = checked_num_bytes(entry.info.shape, c10::elementSize(known->type));
    const auto begin = value["data_offsets"][0].get<uint64_t>(), end = value["data_offsets"][1].get<uint64_t>();
    if (!is_possible || !num_bytes || end < begin || end - begin != *num_bytes) {
      fail("{}: tensor '{}' is {} of shape {}, but its data_offsets are [{}, {}]; the header is wrong", path_, name,
           dtype, value["shape"].dump(), begin, end);
    }
    entry.info.num_bytes = *num_bytes;
    entry.offset = begin;
    return entry;
  }

  // The data must be covered without holes or overlaps. Returns its size.
  size_t check_offsets(const std::vector<SafetensorsEntry>& entries) {
    size_t end = 0;
    for (const SafetensorsEntry& entry : entries) {
      if (entry.offset != end) {
        fail("{}: the data of tensor '{}' begins at byte {}, expected {}; the header is wrong", path_, entry.name,
             entry.offset, end);
      }
      end += entry.info.num_bytes;
    }
    return end;
  }

  std::string path_;
  std::string_view json_;
};

std::string quote(const std::string& text, bool as_ascii) {
  try {
    return nlohmann::json(text).dump(-1, ' ', as_ascii);
  } catch (const nlohmann::json::exception&) {
    fail("the text '{}' is not valid UTF-8 and cannot be stored in a safetensors file",
         nlohmann::json(text).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace));
  }
}

std::string header_json(const SafetensorsHeader& header, SafetensorsStyle style) {
  const bool is_library = style == SafetensorsStyle::library;
  const char *comma = is_library ? "," : ", ", *colon = is_library ? ":" : ": ";
  const auto text = [&](const std::string& utf8) { return quote(utf8, !is_library); };
  std::vector<std::string> members;
  if (header.metadata) {
    std::vector<std::string> entries;
    for (const auto& [key, value] : *header.metadata) entries.push_back(text(key) + colon + text(value));
    members.push_back(fmt::format("\"__metadata__\"{}{{{}}}", colon, fmt::join(entries, comma)));
  }
  for (const SafetensorsEntry& entry : header.entries) {
    members.push_back(fmt::format("{}{}{{\"dtype\"{}\"{}\"{}\"shape\"{}[{}]{}\"data_offsets\"{}[{}{}{}]}}",
                                  text(entry.name), colon, colon, kDtypes[rank_of(entry.info.dtype)].name, comma, colon,
                                  fmt::join(entry.info.shape, comma), comma, colon, entry.offset, comma,
                                  entry.offset + entry.info.num_bytes));
  }
  return fmt::format("{{{}}}", fmt::join(members, comma));
}

}  // namespace

SafetensorsHeader parse_safetensors_header(std::span<const std::byte> file, const fs::path& path) {
  if (file.size() < 8) {
    fail("{}: is truncated: {} bytes found, a safetensors file has more than 8", path.string(), file.size());
  }
  uint64_t json_bytes;
  std::memcpy(&json_bytes, file.data(), 8);
  if (json_bytes > kMaxHeaderBytes) {
    fail("{}: is not a safetensors file: its first 8 bytes give a header of {} bytes, at most {} are possible",
         path.string(), json_bytes, kMaxHeaderBytes);
  }
  if (8 + json_bytes > file.size()) {
    fail("{}: is truncated inside its header: at least {} bytes expected, {} found; copy or download it again",
         path.string(), 8 + json_bytes, file.size());
  }
  HeaderParser parser({reinterpret_cast<const char*>(file.data()) + 8, json_bytes}, path);
  SafetensorsHeader header = parser.parse();
  header.data_begin = 8 + json_bytes;
  const size_t expected = header.data_begin + header.data_bytes;
  if (expected > file.size()) {
    fail("{}: is truncated: {} bytes expected, {} found; copy or download it again", path.string(), expected,
         file.size());
  }
  if (expected < file.size()) {
    fail("{}: has {} bytes behind the last tensor ({} expected, {} found); the header is wrong", path.string(),
         file.size() - expected, expected, file.size());
  }
  return header;
}

std::vector<TensorDeclaration> in_file_order(std::vector<TensorDeclaration> tensors, SafetensorsStyle style) {
  if (style == SafetensorsStyle::library) {
    std::sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) {
      return std::tuple(rank_of(a.dtype), std::string_view(a.name)) <
             std::tuple(rank_of(b.dtype), std::string_view(b.name));
    });
  }
  return tensors;
}

BuiltHeader build_safetensors_header(const std::vector<TensorDeclaration>& tensors,
                                     const std::optional<Metadata>& metadata, SafetensorsStyle style) {
  BuiltHeader built;
  SafetensorsHeader& header = built.header;
  header.metadata = metadata;
  for (const TensorDeclaration& tensor : in_file_order(tensors, style)) {
    if (rank_of(tensor.dtype) == kDtypes.size()) {
      fail("tensor '{}' is {}, which a safetensors file cannot hold", tensor.name, dtype_name(tensor.dtype));
    }
    SafetensorsEntry entry{tensor.name, {tensor.dtype, tensor.shape, 0}};
    entry.info.num_bytes = entry.info.num_elements() * c10::elementSize(tensor.dtype);
    header.entries.push_back(std::move(entry));
  }
  for (SafetensorsEntry& entry : header.entries) {
    entry.offset = header.data_bytes;
    header.data_bytes += entry.info.num_bytes;
  }
  std::string json = header_json(header, style);
  constexpr size_t kLengthBytes = 8;
  const size_t alignment = style == SafetensorsStyle::library ? 8 : 256;
  json.resize((json.size() + kLengthBytes + alignment - 1) / alignment * alignment - kLengthBytes, ' ');
  const uint64_t json_bytes = json.size();
  built.bytes.assign(reinterpret_cast<const char*>(&json_bytes), 8);
  built.bytes += json;
  header.data_begin = built.bytes.size();
  return built;
}

std::vector<TensorDeclaration> declarations(const std::vector<NamedTensor>& tensors) {
  std::vector<TensorDeclaration> result;
  result.reserve(tensors.size());
  for (const auto& [name, tensor] : tensors) result.push_back({name, tensor.scalar_type(), tensor.sizes().vec()});
  return result;
}

}  // namespace difftune
