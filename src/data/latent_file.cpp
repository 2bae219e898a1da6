#include "data/latent_file.h"

#include <ATen/ops/tensor.h>

#include <filesystem>

#include "base/error.h"
#include "base/files.h"
#include "base/sha256.h"
#include "data/python_text.h"
#include "weights/finite.h"
#include "weights/npz.h"

namespace difftune {
namespace {

constexpr std::string_view kSourceKey = "difftune_source";

// The names of an entry's arrays in its file.
class ArrayNames {
 public:
  ArrayNames(const LatentFileFormat& format, int64_t height, int64_t width)
      : ending_(format.has_sized_names ? fmt::format("_{}x{}", height, width) : "") {}
  ArrayNames(const LatentFileFormat& format, SizePx bucket)
      : ArrayNames(format, bucket.height / format.pixels_per_latent, bucket.width / format.pixels_per_latent) {}
  std::string operator()(std::string_view name) const { return std::string(name) + ending_; }

 private:
  std::string ending_;
};

const at::Tensor& part(const NpzArrays& arrays, const std::string& key, const std::string& file, int64_t dimensions) {
  const auto found = arrays.find(key);
  if (found == arrays.end()) fail("{}: the cache entry has no {}", file, key);
  if (found->second.dim() != dimensions) {
    fail("{}: {} of the cache entry has {} axes, expected {}", file, key, found->second.dim(), dimensions);
  }
  return found->second;
}

at::Tensor optional_part(const NpzArrays& arrays, const std::string& key, const std::string& file, int64_t dimensions) {
  return arrays.contains(key) ? part(arrays, key, file, dimensions).to(at::kFloat) : at::Tensor();
}

CachedLatents parse_entry(const NpzArrays& arrays, const ArrayNames& named, const std::string& file) {
  CachedLatents entry;
  entry.latents = part(arrays, named("latents"), file, 3).to(at::kFloat);
  entry.latents_flipped = optional_part(arrays, named("latents_flipped"), file, 3);
  entry.alpha_mask = optional_part(arrays, named("alpha_mask"), file, 2);
  const at::Tensor size = part(arrays, named("original_size"), file, 1).to(at::kLong);
  const at::Tensor crop = part(arrays, named("crop_ltrb"), file, 1).to(at::kDouble);
  if (size.numel() != 2 || crop.numel() != 4) {
    fail("{}: original_size or crop_ltrb of the cache entry is malformed", file);
  }
  const auto* wh = size.const_data_ptr<int64_t>();
  const auto* ltrb = crop.const_data_ptr<double>();
  entry.original_size = {static_cast<int>(wh[0]), static_cast<int>(wh[1])};
  entry.crop = {ltrb[0], ltrb[1], ltrb[2], ltrb[3]};
  return entry;
}

struct FileState {
  std::string num_bytes, mtime;
};

fs::file_time_type time_of(const std::string& path) {
  std::error_code error;
  const auto time = fs::last_write_time(path, error);
  if (error) fail("{}: cannot be read: {}", path, error.message());
  return time;
}

FileState state_of(const std::string& path) {
  std::error_code error;
  const auto num_bytes = fs::file_size(path, error);
  if (error) fail("{}: cannot be read: {}", path, error.message());
  return {std::to_string(num_bytes), std::to_string(time_of(path).time_since_epoch().count())};
}

at::Tensor to_bytes(const std::string& text) {
  std::vector<uint8_t> bytes(text.begin(), text.end());
  return at::tensor(bytes, at::kByte);
}

std::string source_text(const LatentSource& source) {
  const FileState state = state_of(source.image);
  return join(
      {"1", state.num_bytes, state.mtime, sha256_hex(read_file(source.image)), source.preparation, source.encoder_id},
      "\n");
}

std::string why_stale(const at::Tensor& recorded, const LatentSource& source) {
  const at::Tensor bytes = recorded.to(at::kByte).contiguous();
  const std::string text(reinterpret_cast<const char*>(bytes.const_data_ptr<uint8_t>()),
                         static_cast<size_t>(bytes.numel()));
  const auto fields = split(text, "\n");
  if (fields.size() != 6 || fields[0] != "1") return "was made by another version of difftune";
  const FileState state = state_of(source.image);
  // A copied image has a new time but the same bytes.
  if (fields[1] != state.num_bytes || (fields[2] != state.mtime && fields[3] != sha256_hex(read_file(source.image)))) {
    return "was made from an image that has changed since";
  }
  if (fields[4] != source.preparation) return "was made with other image options";
  if (!fields[5].empty() && !source.encoder_id.empty() && fields[5] != source.encoder_id) {
    return "was made with another VAE";
  }
  return "";
}

std::string why_wrong_shape(const CachedLatents& entry, const LatentFileFormat& format,
                            const LatentRequirements& needed) {
  const std::vector<int64_t> shape{format.num_channels, needed.bucket.height / format.pixels_per_latent,
                                   needed.bucket.width / format.pixels_per_latent};
  if (entry.original_size != needed.image_size) return "is of an image of another size";
  for (const auto& latents : {entry.latents, entry.latents_flipped}) {
    if (!latents.defined()) continue;
    if (latents.sizes() != at::IntArrayRef(shape)) return "is of another resolution";
    if (!all_finite(latents)) return "holds numbers that are not finite";
  }
  if (needed.flipped && !entry.latents_flipped.defined()) return "lacks the mirrored latents";
  if (needed.alpha_mask && !entry.alpha_mask.defined()) return "lacks the alpha mask";
  if (entry.alpha_mask.defined() &&
      entry.alpha_mask.sizes() != at::IntArrayRef({needed.bucket.height, needed.bucket.width})) {
    return "has an alpha mask of another resolution";
  }
  return "";
}

}  // namespace

std::string latent_file_path(const std::string& image, SizePx image_size, const LatentFileFormat& format) {
  const std::string stem = fs::path(image).replace_extension().string();
  if (const std::string old = stem + ".npz"; !format.has_sized_names && fs::exists(old)) return old;
  return fmt::format("{}_{:04}x{:04}{}", stem, image_size.width, image_size.height, format.suffix);
}

CachedLatents read_latent_file(const std::string& npz_file, const LatentFileFormat& format, SizePx bucket) {
  return parse_entry(read_npz(npz_file), ArrayNames(format, bucket), npz_file);
}

void write_latent_file(const std::string& npz_file, const LatentFileFormat& format, const CachedLatents& entry,
                       const LatentSource& source) {
  NpzArrays arrays;
  if (fs::exists(npz_file)) {
    try {
      arrays = read_npz(npz_file);
    } catch (const UserError&) {
      arrays.clear();  // damaged: replaced as a whole
    }
  }
  const ArrayNames named(format, entry.latents.size(1), entry.latents.size(2));
  arrays[named("latents")] = entry.latents.to(at::kFloat);
  arrays[named("original_size")] =
      at::tensor({int64_t{entry.original_size.width}, int64_t{entry.original_size.height}});
  arrays[named("crop_ltrb")] =
      at::tensor({entry.crop.left, entry.crop.top, entry.crop.right, entry.crop.bottom}, at::kDouble);
  // Mirrored latents and masks that this run does not make would belong to the entry before.
  arrays.erase(named("latents_flipped"));
  arrays.erase(named("alpha_mask"));
  if (entry.latents_flipped.defined()) arrays[named("latents_flipped")] = entry.latents_flipped.to(at::kFloat);
  if (entry.alpha_mask.defined()) arrays[named("alpha_mask")] = entry.alpha_mask.to(at::kFloat);
  arrays[named(kSourceKey)] = to_bytes(source_text(source));
  write_npz(npz_file, arrays);
}

std::string why_unusable(const std::string& npz_file, const LatentFileFormat& format, const LatentRequirements& needed,
                         const LatentSource& source) {
  try {
    const NpzArrays arrays = read_npz(npz_file);
    const ArrayNames named(format, needed.bucket);
    if (format.has_sized_names && !arrays.contains(named("latents"))) return "lacks this resolution";
    if (auto reason = why_wrong_shape(parse_entry(arrays, named, npz_file), format, needed); !reason.empty()) {
      return reason;
    }
    if (const auto recorded = arrays.find(named(kSourceKey)); recorded != arrays.end()) {
      return why_stale(recorded->second, source);
    }
    // Written by the reference: only the times can tell.
    return time_of(source.image) > time_of(npz_file) ? "is older than its image" : "";
  } catch (const UserError&) {
    return "is damaged or incomplete";
  }
}

}  // namespace difftune
