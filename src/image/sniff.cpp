#include "image/sniff.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <string_view>

namespace difftune {
namespace {

using std::string_view_literals::operator""sv;

struct Signature {
  std::string_view bytes;
  std::string_view what;
};

constexpr Signature kOtherFiles[] = {
    {"\x00\x05\x16\x07"sv, "a macOS resource file (\"._\" file) without picture data"},
    {"GIF8"sv, "a GIF image"},
    {"II*\0"sv, "a TIFF image"},
    {"MM\0*"sv, "a TIFF image"},
    {"8BPS"sv, "a Photoshop document"},
    {"\0\0\1\0"sv, "an icon"},
    {"PK\3\4"sv, "a ZIP archive"},
    {"Rar!"sv, "a RAR archive"},
    {"7z\xBC\xAF\x27\x1C"sv, "a 7-Zip archive"},
    {"\x1F\x8B"sv, "a gzip archive"},
    {"%PDF"sv, "a PDF document"},
    {"\x1A\x45\xDF\xA3"sv, "a Matroska or WebM video"},
    {"version https://git-lfs"sv, "a Git LFS pointer, not the picture (run git lfs pull)"},
};

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), [](unsigned char c) { return std::tolower(c); });
  return result;
}

// ISO base media files (ISO/IEC 14496-12) name their kind in a "ftyp" box.
std::string_view major_brand(std::string_view text) {
  return text.size() >= 12 && text.substr(4, 4) == "ftyp" ? text.substr(8, 4) : "";
}

std::string describe_iso_media(std::string_view brand) {
  for (std::string_view heif : {"heic", "heix", "heim", "heis", "hevc", "mif1", "msf1"}) {
    if (brand == heif) return "a HEIC image";
  }
  return "a video (MP4 or alike)";
}

std::string describe_markup(std::string_view text) {
  const std::string start = lower(text.substr(std::min(text.find_first_not_of(" \t\r\n\xEF\xBB\xBF"), text.size())));
  if (start.starts_with("<!doctype html") || start.starts_with("<html") || start.starts_with("<head")) {
    return "an HTML page";
  }
  if (start.find("<svg") != std::string::npos) return "an SVG drawing";
  if (start.starts_with("<?xml")) return "an XML file";
  return "";
}

bool is_text(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 && !std::isspace(c); });
}

// AVIF is one of several brands of ISO media; a "mif1" file is AVIF if that is among its compatible brands.
bool is_avif(std::string_view text) {
  if (text.size() < 16 || text.substr(4, 4) != "ftyp") return false;
  const auto* p = reinterpret_cast<const uint8_t*>(text.data());
  const size_t box_bytes = static_cast<size_t>(p[0]) << 24 | p[1] << 16 | p[2] << 8 | p[3];
  for (size_t at = 8; at + 4 <= std::min(text.size(), box_bytes); at += at == 8 ? 8 : 4) {
    const std::string_view brand = text.substr(at, 4);
    if (brand == "avif" || brand == "avis") return true;
  }
  return false;
}

}  // namespace

std::string_view name_of(ImageFormat format) {
  switch (format) {
    case ImageFormat::png:
      return "PNG";
    case ImageFormat::jpeg:
      return "JPEG";
    case ImageFormat::webp:
      return "WebP";
    case ImageFormat::bmp:
      return "BMP";
    case ImageFormat::avif:
      return "AVIF";
    case ImageFormat::jpeg_xl:
      return "JPEG XL";
  }
  return "";
}

std::optional<ImageFormat> format_of_name(const std::filesystem::path& path) {
  constexpr std::pair<std::string_view, ImageFormat> kNames[] = {
      {".png", ImageFormat::png},    {".jpg", ImageFormat::jpeg}, {".jpeg", ImageFormat::jpeg},
      {".webp", ImageFormat::webp},  {".bmp", ImageFormat::bmp},  {".avif", ImageFormat::avif},
      {".jxl", ImageFormat::jpeg_xl}};
  const std::string extension = lower(path.extension().string());
  for (const auto& [name, format] : kNames) {
    if (extension == name) return format;
  }
  return std::nullopt;
}

std::optional<ImageFormat> sniff_image_format(std::span<const uint8_t> beginning) {
  const std::string_view text(reinterpret_cast<const char*>(beginning.data()), beginning.size());
  if (text.starts_with("\x89PNG\r\n\x1A\n"sv)) return ImageFormat::png;
  if (text.starts_with("\xFF\xD8\xFF"sv)) return ImageFormat::jpeg;
  if (text.starts_with("RIFF"sv) && text.size() >= 12 && text.substr(8, 4) == "WEBP") return ImageFormat::webp;
  if (text.starts_with("\xFF\x0A"sv) || text.starts_with("\0\0\0\x0CJXL \r\n\x87\n"sv)) return ImageFormat::jpeg_xl;
  if (is_avif(text)) return ImageFormat::avif;
  // "BM" alone could begin a text; every BMP header has a size below 256 bytes at offset 14.
  if (text.starts_with("BM"sv) && text.size() >= 18 && text.substr(15, 3) == "\0\0\0"sv) return ImageFormat::bmp;
  return std::nullopt;
}

std::string describe_content(std::span<const uint8_t> beginning) {
  const std::string_view text(reinterpret_cast<const char*>(beginning.data()), beginning.size());
  if (text.empty()) return "an empty file (0 bytes)";
  for (const Signature& signature : kOtherFiles) {
    if (text.starts_with(signature.bytes)) return std::string(signature.what);
  }
  if (std::string_view brand = major_brand(text); !brand.empty()) return describe_iso_media(brand);
  if (std::string markup = describe_markup(text); !markup.empty()) return markup;
  if (text.find_first_not_of('\0') == std::string_view::npos) return "a file of zero bytes (a broken download or disk)";
  if (is_text(text)) return "a text file";
  return fmt::format("an unknown kind of file (it begins with the bytes {:02x})",
                     fmt::join(beginning.first(std::min<size_t>(8, beginning.size())), " "));
}

}  // namespace difftune
