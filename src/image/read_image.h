// Image files to pixels. The content decides the format, not the extension: PNG, JPEG, WebP and BMP always, AVIF and
// JPEG XL where the build has their libraries.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>

#include "image/image.h"

namespace difftune {

enum class ImageFormat { png, jpeg, webp, bmp, avif, jpeg_xl };
// "PNG", "JPEG", ...
std::string_view name_of(ImageFormat format);

// The format that the extension of `path` stands for, in any case; nullopt for other extensions. What is read goes by
// the content alone.
std::optional<ImageFormat> format_of_name(const std::filesystem::path& path);

// Whether this build has the format's decoder.
bool is_built_in(ImageFormat format);

// What a file's header says. Sizes are those of the picture that read_image() returns.
struct ImageInfo {
  int width_px = 0, height_px = 0;
  ImageFormat format = ImageFormat::png;
  bool has_alpha = false;    // transparency of any kind: an alpha channel, a transparent palette entry or colour
  bool is_animated = false;  // more than one frame; read_image() gives the first
  // How the stored pixels must be turned: 1..8 as in the EXIF standard (CIPA DC-008, tag 0x0112), 1 = not at all. Of
  // AVIF it stands for its own rotation properties; JPEG XL is always 1, its decoder gives upright pixels.
  int exif_orientation = 1;
};

// The defaults show the picture as its maker meant it. `reference()` is what sd-scripts does with Pillow.
struct ReadOptions {
  bool apply_orientation = true;  // false: pixels as stored, whatever the EXIF orientation says
  bool clip_16_bit_grey = false;  // true: 16-bit grey PNG as Pillow converts it, min(value, 255); false: value / 256

  static constexpr ReadOptions reference() { return {.apply_orientation = false, .clip_16_bit_grey = true}; }
};

// More pixels than this are refused from the header on, before anything is allocated (Pillow's limit for an error).
inline constexpr int64_t kMaxImagePixels = 178'956'970;

// The header of the file at `path`, of which it reads a few KiB. Throws
// UserError that names the file if it is no image, of a format not read, damaged in its header, or too large.
ImageInfo read_image_info(const std::filesystem::path& path, ReadOptions options = {});

// The pixels of the file at `path`: RGBA if `keep_alpha` (255 where the file has no alpha), else RGB with any alpha
// dropped and not composited. Values are those of Pillow's convert("RGBA") and convert("RGB"); colour profiles are not
// applied. Throws UserError as read_image_info() does, and if the pixels are damaged or cut off.
Image read_image(const std::filesystem::path& path, bool keep_alpha = false, ReadOptions options = {});

}  // namespace difftune
