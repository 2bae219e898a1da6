#include "train/model_spec.h"

#include <fmt/chrono.h>

#include <ctime>

#include "base/error.h"
#include "base/python_format.h"
#include "image/read_image.h"

namespace difftune {
namespace {

// Readers of safetensors refuse a header above 100 MB.
constexpr size_t kMaxThumbnailBytes = 64u << 20;

std::string base64(std::string_view data) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((data.size() + 2) / 3 * 4);
  for (size_t i = 0; i < data.size(); i += 3) {
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k) group = group << 8 | (i + k < data.size() ? static_cast<uint8_t>(data[i + k]) : 0);
    for (size_t k = 0; k < 4; ++k) out += i + k <= data.size() ? kDigits[group >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

std::string_view mime_type(ImageFormat format) {
  switch (format) {
    case ImageFormat::png:
      return "image/png";
    case ImageFormat::jpeg:
      return "image/jpeg";
    case ImageFormat::webp:
      return "image/webp";
    case ImageFormat::bmp:
      return "image/bmp";
    case ImageFormat::avif:
      return "image/avif";
    case ImageFormat::jpeg_xl:
      return "image/jxl";
  }
  DT_CHECK(false, "an image format without a MIME type");
  return {};
}

std::string data_url(const std::string& value) {
  std::error_code ec;
  if (!fs::is_regular_file(value, ec)) {
    fail("--metadata_thumbnail {}: there is no such file; give an image file or a data: URL", value);
  }
  const ImageFormat format = read_image_info(value).format;
  const std::string data = read_file(value);
  if (data.size() > kMaxThumbnailBytes) {
    fail("--metadata_thumbnail {}: {} MiB are too large for the head of a file, expected at most {}; 256x256 pixels do",
         value, data.size() >> 20, kMaxThumbnailBytes >> 20);
  }
  return fmt::format("data:{};base64,{}", mime_type(format), base64(data));
}

void set(Metadata& entries, const char* name, const std::optional<std::string>& value) {
  if (value) entries[std::string("modelspec.") + name] = *value;
}

}  // namespace

void embed_thumbnail(MetadataOptions& options) {
  std::optional<std::string>& value = options.metadata_thumbnail;
  if (value && !value->empty() && !value->starts_with("data:")) value = data_url(*value);
}

Metadata model_spec_entries(const ModelSpec& spec, const MetadataOptions& options) {
  Metadata entries;
  set(entries, "sai_model_spec", "1.0.1");
  set(entries, "architecture", spec.architecture);
  set(entries, "implementation", spec.implementation);
  set(entries, "implementation_version", std::string(kImplementationVersion));
  set(entries, "title", options.metadata_title ? options.metadata_title : spec.title);
  set(entries, "resolution", fmt::format("{}x{}", spec.resolution.width_px, spec.resolution.height_px));
  set(entries, "prediction_type", spec.prediction_type);
  if (spec.timestep_range) {
    set(entries, "timestep_range", fmt::format("{},{}", spec.timestep_range->first, spec.timestep_range->second));
  }
  if (spec.encoder_layer) set(entries, "encoder_layer", std::to_string(*spec.encoder_layer));
  set(entries, "author", options.metadata_author);
  set(entries, "description", options.metadata_description);
  set(entries, "license", options.metadata_license);
  set(entries, "tags", options.metadata_tags);
  set(entries, "usage_hint", options.metadata_usage_hint);
  set(entries, "thumbnail", options.metadata_thumbnail);
  set(entries, "merged_from", options.metadata_merged_from);
  set(entries, "trigger_phrase", options.metadata_trigger_phrase);
  set(entries, "preprocessor", options.metadata_preprocessor);
  set(entries, "is_negative_embedding", options.metadata_is_negative_embedding);
  return entries;
}

void add_time(const ModelSpec& spec, double now, Metadata& entries) {
  entries["modelspec.date"] = fmt::format("{:%Y-%m-%dT%H:%M:%S}", fmt::localtime(static_cast<std::time_t>(now)));
  entries.try_emplace("modelspec.title", fmt::format("{}@{}", spec.kind, python_repr(now)));
}

}  // namespace difftune
