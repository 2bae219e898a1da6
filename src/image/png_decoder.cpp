#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "image/byte_source.h"
#include "image/decode.h"

namespace difftune {
namespace {

// libpng reports errors by longjmp(), so every function that calls setjmp() here holds nothing with a destructor.
class PngReader {
 public:
  explicit PngReader(std::span<const uint8_t> bytes) : bytes_(bytes) {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, on_error, on_warning);
    if (png_ != nullptr) info_ = png_create_info_struct(png_);
    DT_CHECK(info_ != nullptr, "libpng cannot start");
  }
  ~PngReader() { png_destroy_read_struct(&png_, &info_, nullptr); }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;

  // False, with why(), on damaged data.
  bool read_header() {
    // Texts and colour profiles play no role here and may be huge or compressed bombs.
    static constexpr png_byte kUnread[] = "iCCP\0iTXt\0tEXt\0zTXt\0sPLT\0eXIf\0hIST";
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_set_keep_unknown_chunks(png_, PNG_HANDLE_CHUNK_NEVER, kUnread, sizeof(kUnread) / 5);
    png_set_chunk_malloc_max(png_, 0);
    png_set_read_fn(png_, this, on_read);
    png_read_info(png_, info_);
    return true;
  }

  bool is_16_bit_grey() const {
    return png_get_bit_depth(png_, info_) == 16 && png_get_color_type(png_, info_) == PNG_COLOR_TYPE_GRAY;
  }

  // Asks for rows of 8-bit RGB or RGBA, of 16-bit samples the upper half, or for 16-bit grey as it is.
  bool set_output(bool keep_alpha, bool raw_16_bit_grey) {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    if (!raw_16_bit_grey) {
      png_set_expand(png_);
      png_set_strip_16(png_);
      png_set_gray_to_rgb(png_);
      if (keep_alpha) {
        png_set_add_alpha(png_, 0xFF, PNG_FILLER_AFTER);
      } else {
        png_set_strip_alpha(png_);
      }
    }
    png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    return true;
  }

  size_t row_bytes() const { return png_get_rowbytes(png_, info_); }

  bool read_rows(uint8_t** rows) {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_read_image(png_, rows);
    return true;
  }

  bool ended_early() const { return ended_early_; }
  const char* why() const { return why_; }

 private:
  static void on_read(png_structp png, png_bytep out, size_t num_bytes) {
    auto* self = static_cast<PngReader*>(png_get_io_ptr(png));
    if (num_bytes > self->bytes_.size() - self->position_) {
      self->ended_early_ = true;
      png_error(png, "ends early");
    }
    std::memcpy(out, self->bytes_.data() + self->position_, num_bytes);
    self->position_ += num_bytes;
  }
  [[noreturn]] static void on_error(png_structp png, png_const_charp message) {
    auto* self = static_cast<PngReader*>(png_get_error_ptr(png));
    std::snprintf(self->why_, sizeof(self->why_), "%s", message);
    png_longjmp(png, 1);
  }
  static void on_warning(png_structp, png_const_charp) {}

  std::span<const uint8_t> bytes_;
  size_t position_ = 0;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  bool ended_early_ = false;
  char why_[128] = "";
};

[[noreturn]] void fail_png(const PngReader& reader, const EncodedImage& file) {
  if (reader.ended_early()) fail_truncated(file.name, ImageFormat::png);
  fail_damaged(file.name, ImageFormat::png, reader.why());
}

// Rows of big-endian 16-bit grey become what Pillow makes of its mode "I;16": clipped at 255, not scaled.
Image clip_grey(const std::vector<uint8_t>& samples, const ImageInfo& info, bool keep_alpha) {
  Image image(info.width_px, info.height_px, keep_alpha ? 4 : 3);
  for (size_t i = 0; i * 2 < samples.size(); ++i) {
    uint8_t* pixel = image.pixels.data() + i * static_cast<size_t>(image.channels);
    std::fill_n(pixel, 3, static_cast<uint8_t>(std::min<uint32_t>(big_endian_16(samples.data() + i * 2), 255)));
    if (keep_alpha) pixel[3] = 255;
  }
  return image;
}

}  // namespace

Image decode_png(const EncodedImage& file, bool keep_alpha, bool clip_16_bit_grey) {
  PngReader reader(file.bytes);
  if (!reader.read_header()) fail_png(reader, file);
  const bool clip = clip_16_bit_grey && reader.is_16_bit_grey();
  if (!reader.set_output(keep_alpha, clip)) fail_png(reader, file);

  const size_t row_bytes = static_cast<size_t>(file.info.width_px) * (clip ? 2 : keep_alpha ? 4 : 3);
  DT_CHECK(reader.row_bytes() == row_bytes, "libpng gives rows of {} bytes, expected {}", reader.row_bytes(),
           row_bytes);
  Image image;
  std::vector<uint8_t> grey;
  if (clip) {
    grey.resize(row_bytes * static_cast<size_t>(file.info.height_px));
  } else {
    image = Image(file.info.width_px, file.info.height_px, keep_alpha ? 4 : 3);
  }
  std::vector<uint8_t*> rows(static_cast<size_t>(file.info.height_px));
  for (size_t y = 0; y < rows.size(); ++y) rows[y] = (clip ? grey.data() : image.pixels.data()) + y * row_bytes;
  if (!reader.read_rows(rows.data())) fail_png(reader, file);
  return clip ? clip_grey(grey, file.info, keep_alpha) : image;
}

}  // namespace difftune
