#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <vector>
// After <cstdio>, which jpeglib.h needs.
#include <jerror.h>
#include <jpeglib.h>

#include "base/error.h"
#include "base/log.h"
#include "image/decode.h"

namespace difftune {
namespace {

// libjpeg reports errors by longjmp(), so every function that calls setjmp() here holds nothing with a destructor.
class JpegReader {
 public:
  explicit JpegReader(std::span<const uint8_t> bytes) : bytes_(bytes) {
    jpeg_.err = jpeg_std_error(&errors_);
    errors_.error_exit = on_error;
    errors_.emit_message = on_message;
    jpeg_.client_data = this;
    jpeg_create_decompress(&jpeg_);
  }
  ~JpegReader() { jpeg_destroy_decompress(&jpeg_); }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;

  // Each returns false, with why(), on damaged data. start() asks for RGB or RGBA rows; CMYK and YCCK give CMYK rows.
  bool start(bool keep_alpha) {
    if (setjmp(jump_) != 0) return false;
    jpeg_mem_src(&jpeg_, bytes_.data(), bytes_.size());
    jpeg_read_header(&jpeg_, TRUE);
    jpeg_.out_color_space = jpeg_.num_components == 4 ? JCS_CMYK : keep_alpha ? JCS_EXT_RGBA : JCS_RGB;
    jpeg_start_decompress(&jpeg_);
    return true;
  }
  bool read_row(uint8_t* row) {
    if (setjmp(jump_) != 0) return false;
    jpeg_read_scanlines(&jpeg_, &row, 1);
    return true;
  }

  bool is_cmyk() const { return jpeg_.out_color_space == JCS_CMYK; }
  int width_px() const { return static_cast<int>(jpeg_.output_width); }
  int height_px() const { return static_cast<int>(jpeg_.output_height); }
  bool ended_early() const { return ended_early_; }
  const char* why() const { return why_; }
  bool has_warning() const { return errors_.num_warnings > 0; }

 private:
  static JpegReader* self(j_common_ptr jpeg) { return static_cast<JpegReader*>(jpeg->client_data); }
  [[noreturn]] static void on_error(j_common_ptr jpeg) {
    jpeg->err->format_message(jpeg, self(jpeg)->why_);
    std::longjmp(self(jpeg)->jump_, 1);
  }
  static void on_message(j_common_ptr jpeg, int level) {
    if (level >= 0) return;
    if (jpeg->err->msg_code == JWRN_JPEG_EOF) {
      self(jpeg)->ended_early_ = true;
      on_error(jpeg);
    }
    if (jpeg->err->num_warnings++ == 0) jpeg->err->format_message(jpeg, self(jpeg)->why_);
  }

  std::span<const uint8_t> bytes_;
  jpeg_decompress_struct jpeg_{};
  jpeg_error_mgr errors_{};
  std::jmp_buf jump_;
  bool ended_early_ = false;
  char why_[JMSG_LENGTH_MAX] = "";
};

[[noreturn]] void fail_jpeg(const JpegReader& reader, const EncodedImage& file) {
  if (reader.ended_early()) fail_truncated(file.name, ImageFormat::jpeg);
  fail_damaged(file.name, ImageFormat::jpeg, reader.why());
}

// CMYK as Adobe's programs store it, inverted, without a colour profile; Pillow does the same.
void inverted_cmyk_to_rgb(const uint8_t* cmyk, int width_px, int channels, uint8_t* out) {
  for (int x = 0; x < width_px; ++x, cmyk += 4, out += channels) {
    const uint8_t key = cmyk[3];
    for (int c = 0; c < 3; ++c) out[c] = static_cast<uint8_t>(key - multiply_255(255u - cmyk[c], key));
    if (channels == 4) out[3] = 255;
  }
}

}  // namespace

Image decode_jpeg(const EncodedImage& file, bool keep_alpha) {
  JpegReader reader(file.bytes);
  if (!reader.start(keep_alpha)) fail_jpeg(reader, file);
  if (reader.width_px() != file.info.width_px || reader.height_px() != file.info.height_px) {
    fail_damaged(file.name, ImageFormat::jpeg, "two sizes");
  }
  Image image(file.info.width_px, file.info.height_px, keep_alpha ? 4 : 3);
  std::vector<uint8_t> cmyk(reader.is_cmyk() ? static_cast<size_t>(image.width_px) * 4 : 0);
  for (int y = 0; y < image.height_px; ++y) {
    if (!reader.read_row(reader.is_cmyk() ? cmyk.data() : image.row(y))) fail_jpeg(reader, file);
    if (reader.is_cmyk()) inverted_cmyk_to_rgb(cmyk.data(), image.width_px, image.channels, image.row(y));
  }
  if (reader.has_warning()) {
    log::warning("{}: part of the picture may be wrong, the JPEG data is damaged ({})", file.name, reader.why());
  }
  return image;
}

}  // namespace difftune
