#include "data/text_file.h"

#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/tensor.h>

#include "base/error.h"
#include "base/files.h"
#include "base/sha256.h"
#include "data/python_text.h"
#include "weights/finite.h"
#include "weights/npz.h"

namespace difftune {
namespace {

constexpr std::string_view kSourceKey = "difftune_source";

std::string source_text(const TextSource& source) {
  return join({"1", sha256_hex(source.caption), source.encoder_id}, "\n");
}

std::string to_text(const at::Tensor& array) {
  const at::Tensor bytes = array.to(at::kByte).contiguous();
  return {reinterpret_cast<const char*>(bytes.const_data_ptr<uint8_t>()), static_cast<size_t>(bytes.numel())};
}

std::string why_stale(const std::string& recorded, const TextSource& source) {
  const auto fields = split(recorded, "\n");
  const auto expected = split(source_text(source), "\n");
  if (fields.size() != 3 || fields[0] != expected[0]) return "was made by another version of difftune";
  if (fields[1] != expected[1]) return "was made from another caption";
  return fields[2] != expected[2] ? "was made with other text encoders or settings" : "";
}

// An entry of another program says nothing about its caption: only the times can tell.
std::string why_older(const std::string& npz_file, const std::string& caption_file) {
  std::error_code error;
  if (caption_file.empty() || !fs::exists(caption_file, error)) return "";
  return fs::last_write_time(caption_file, error) > fs::last_write_time(npz_file, error) ? "is older than its caption"
                                                                                         : "";
}

TextOutputs parse_entry(const NpzArrays& arrays, const TextFileFormat& format, const std::string& file) {
  TextOutputs outputs;
  for (const auto& name : format.arrays) {
    const auto found = arrays.find(name);
    if (found == arrays.end()) fail("{}: the cache entry has no {}", file, name);
    outputs[name] = found->second.to(at::kFloat);
  }
  return outputs;
}

}  // namespace

std::string text_file_path(const std::string& image, const TextFileFormat& format) {
  return fs::path(image).replace_extension().string() + format.suffix;
}

TextOutputs read_text_file(const std::string& npz_file, const TextFileFormat& format) {
  return parse_entry(read_npz(npz_file), format, npz_file);
}

void write_text_file(const std::string& npz_file, const TextFileFormat& format, const TextOutputs& outputs,
                     const TextSource& source) {
  NpzArrays arrays;
  for (const auto& name : format.arrays) {
    const at::Tensor& output = outputs.at(name);
    arrays[name] = output.scalar_type() == at::kBFloat16 ? output.to(at::kFloat) : output;
  }
  for (const auto& [name, value] : format.flags) arrays[name] = at::scalar_tensor(value, at::kBool);
  const std::string text = source_text(source);
  arrays[std::string(kSourceKey)] = at::tensor(std::vector<uint8_t>(text.begin(), text.end()), at::kByte);
  write_npz(npz_file, arrays);
}

std::string why_unusable(const std::string& npz_file, const TextFileFormat& format, const TextSource& source) {
  try {
    const NpzArrays arrays = read_npz(npz_file);
    for (const auto& [name, output] : parse_entry(arrays, format, npz_file)) {
      if (!all_finite(output)) return "holds numbers that are not finite";
    }
    for (const auto& [name, value] : format.flags) {
      const auto found = arrays.find(name);
      if (found == arrays.end() || found->second.numel() != 1 || found->second.item<bool>() != value) {
        return "was made with another --" + name;
      }
    }
    const auto recorded = arrays.find(std::string(kSourceKey));
    if (recorded != arrays.end()) return why_stale(to_text(recorded->second), source);
    return why_older(npz_file, source.caption_file);
  } catch (const UserError&) {
    return "is damaged or incomplete";
  }
}

}  // namespace difftune
