#include "image/write_image.h"

#include <png.h>

#include <csetjmp>
#include <cstdio>
#include <vector>

#include "base/error.h"
#include "base/files.h"

namespace difftune {
namespace {

// The text in Latin-1, or nothing if it holds other characters.
bool to_latin_1(const std::string& utf8, std::string& latin_1) {
  latin_1.clear();
  for (size_t i = 0; i < utf8.size(); ++i) {
    const auto c = static_cast<unsigned char>(utf8[i]);
    if (c < 0x80) {
      latin_1 += utf8[i];
    } else if ((c == 0xC2 || c == 0xC3) && i + 1 < utf8.size()) {
      latin_1 += static_cast<char>((c & 3) << 6 | (utf8[++i] & 0x3F));
    } else {
      return false;
    }
  }
  return true;
}

// libpng reports errors by longjmp(), so write() holds nothing with a destructor.
class PngWriter {
 public:
  PngWriter() {
    png_ = png_create_write_struct(PNG_LIBPNG_VER_STRING, this, on_error, on_warning);
    if (png_ != nullptr) info_ = png_create_info_struct(png_);
    DT_CHECK(info_ != nullptr, "libpng cannot start");
  }
  ~PngWriter() { png_destroy_write_struct(&png_, &info_); }
  PngWriter(const PngWriter&) = delete;
  PngWriter& operator=(const PngWriter&) = delete;

  bool write(int width_px, int height_px, int channels, std::vector<png_text>& texts, uint8_t** rows) {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_set_write_fn(png_, this, on_write, nullptr);
    png_set_IHDR(png_, info_, static_cast<png_uint_32>(width_px), static_cast<png_uint_32>(height_px), 8,
                 channels == 4 ? PNG_COLOR_TYPE_RGBA : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (!texts.empty()) png_set_text(png_, info_, texts.data(), static_cast<int>(texts.size()));
    png_write_info(png_, info_);
    png_write_image(png_, rows);
    png_write_end(png_, nullptr);
    return true;
  }

  const char* why() const { return why_; }
  std::string take_bytes() { return std::move(bytes_); }

 private:
  static void on_write(png_structp png, png_bytep data, size_t num_bytes) {
    static_cast<PngWriter*>(png_get_io_ptr(png))->bytes_.append(reinterpret_cast<const char*>(data), num_bytes);
  }
  [[noreturn]] static void on_error(png_structp png, png_const_charp message) {
    auto* self = static_cast<PngWriter*>(png_get_error_ptr(png));
    std::snprintf(self->why_, sizeof(self->why_), "%s", message);
    png_longjmp(png, 1);
  }
  static void on_warning(png_structp, png_const_charp) {}

  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  std::string bytes_;
  char why_[128] = "";
};

}  // namespace

std::string encode_png(const Image& image, const PngText& text) {
  DT_CHECK(!image.empty() && (image.channels == 3 || image.channels == 4), "{} channels", image.channels);
  std::vector<std::string> latin_1(text.size());
  std::vector<png_text> texts(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const auto& [key, value] = text[i];
    DT_CHECK(!key.empty() && key.size() <= 79, "PNG text key \"{}\"", key);
    const bool fits = to_latin_1(value, latin_1[i]);
    texts[i].key = const_cast<char*>(key.c_str());
    texts[i].text = const_cast<char*>((fits ? latin_1[i] : value).c_str());
    texts[i].compression = fits ? PNG_TEXT_COMPRESSION_NONE : PNG_ITXT_COMPRESSION_NONE;
    texts[i].text_length = fits ? latin_1[i].size() : 0;
    texts[i].itxt_length = fits ? 0 : value.size();
  }
  std::vector<uint8_t*> rows(static_cast<size_t>(image.height_px));
  for (size_t y = 0; y < rows.size(); ++y) rows[y] = const_cast<uint8_t*>(image.row(static_cast<int>(y)));
  PngWriter writer;
  const bool written = writer.write(image.width_px, image.height_px, image.channels, texts, rows.data());
  DT_CHECK(written, "libpng: {}", writer.why());
  return writer.take_bytes();
}

void write_png(const std::filesystem::path& path, const Image& image, const PngText& text) {
  write_file_atomically(path, encode_png(image, text));
}

}  // namespace difftune
