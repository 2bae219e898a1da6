// Image headers: size, orientation and kind without the pixels (internal to this library).
#pragma once

#include <span>
#include <string>

#include "image/byte_source.h"
#include "image/read_image.h"

namespace difftune {

// What the header of `source` says. Width and height are those of the pixels as stored, before any rotation. Throws
// UserError that begins with `name`.
ImageInfo parse_header(ByteSource& source, const std::string& name);

// The same by format.
ImageInfo parse_png_header(ByteSource& source, const std::string& name);
ImageInfo parse_jpeg_header(ByteSource& source, const std::string& name);
ImageInfo parse_webp_header(ByteSource& source, const std::string& name);
ImageInfo parse_bmp_header(ByteSource& source, const std::string& name);
ImageInfo parse_avif_header(ByteSource& source, const std::string& name);
ImageInfo parse_jpeg_xl_header(ByteSource& source, const std::string& name);

[[noreturn]] void fail_damaged_header(const std::string& name, ImageFormat format);
[[noreturn]] void fail_truncated(const std::string& name, ImageFormat format);
[[noreturn]] void fail_damaged(const std::string& name, ImageFormat format, std::string_view why);
[[noreturn]] void fail_not_built_in(const std::string& name, ImageFormat format);

}  // namespace difftune
