#include "image/grid.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string_view>

#include "image/font.h"

namespace difftune {
namespace {

// One code point per UTF-8 sequence; what it is matters only within ASCII.
std::u32string code_points(std::string_view utf8) {
  std::u32string result;
  for (const char c : utf8) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte & 0xC0) != 0x80) result += byte;
  }
  return result;
}

class TextStyle {
 public:
  // About 28 characters fit in a cell.
  explicit TextStyle(int cell_width_px)
      : scale_(std::clamp(static_cast<int>(std::lround(cell_width_px / 160.0)), 1, 4)) {}

  int margin_px() const { return 4 * scale_; }
  int line_px() const { return (kGlyphHeight + 3) * scale_; }

  // Lines of at most `width_px`, broken at spaces where there are any.
  std::vector<std::u32string> wrap(std::string_view text, int width_px) const {
    const auto limit = static_cast<size_t>(std::max(1, width_px / advance_px()));
    std::u32string rest = code_points(text);
    std::vector<std::u32string> lines;
    while (rest.size() > limit) {
      size_t end = rest.rfind(U' ', limit);
      const bool at_space = end != std::u32string::npos && end > 0;
      if (!at_space) end = limit;
      lines.push_back(rest.substr(0, end));
      rest.erase(0, at_space ? end + 1 : end);
    }
    if (!rest.empty()) lines.push_back(rest);
    return lines;
  }

  void draw(const std::vector<std::u32string>& lines, int left_px, int top_px, Image& sheet) const {
    for (const std::u32string& line : lines) {
      int x = left_px;
      for (const char32_t character : line) {
        draw_glyph(character, x, top_px, sheet);
        x += advance_px();
      }
      top_px += line_px();
    }
  }

 private:
  int advance_px() const { return (kGlyphWidth + 1) * scale_; }

  void draw_glyph(char32_t character, int left_px, int top_px, Image& sheet) const {
    const auto& rows = glyph_of(character);
    for (int y = 0; y < kGlyphHeight * scale_; ++y) {
      for (int x = 0; x < kGlyphWidth * scale_; ++x) {
        const bool ink = (rows[static_cast<size_t>(y / scale_)] >> (kGlyphWidth - 1 - x / scale_) & 1) != 0;
        const int sheet_x = left_px + x, sheet_y = top_px + y;
        if (ink && sheet_x < sheet.width_px && sheet_y < sheet.height_px) {
          std::memset(sheet.row(sheet_y) + sheet_x * sheet.channels, 0, 3);
        }
      }
    }
  }

  int scale_;
};

void paste(const Image& image, int left_px, int top_px, Image& sheet) {
  for (int y = 0; y < image.height_px; ++y) {
    const uint8_t* in = image.row(y);
    uint8_t* out = sheet.row(top_px + y) + static_cast<ptrdiff_t>(left_px) * 3;
    for (int x = 0; x < image.width_px; ++x, in += image.channels, out += 3) std::memcpy(out, in, 3);
  }
}

}  // namespace

Image make_grid(std::span<const std::vector<Image>> images, std::span<const std::string> row_labels,
                std::span<const std::string> column_labels) {
  int cell_width = 1, cell_height = 1;
  size_t num_columns = column_labels.size();
  for (const auto& row : images) {
    num_columns = std::max(num_columns, row.size());
    for (const Image& image : row) {
      cell_width = std::max(cell_width, image.width_px);
      cell_height = std::max(cell_height, image.height_px);
    }
  }
  const TextStyle style(cell_width);
  const int margin = style.margin_px();
  const int label_width = row_labels.empty() ? 0 : cell_width / 2;
  std::vector<std::vector<std::u32string>> headings;
  size_t heading_lines = 0;
  for (const std::string& label : column_labels) {
    headings.push_back(style.wrap(label, cell_width));
    heading_lines = std::max(heading_lines, headings.back().size());
  }

  const int left = margin + (label_width > 0 ? label_width + margin : 0);
  const int top = margin + (heading_lines > 0 ? static_cast<int>(heading_lines) * style.line_px() : 0);
  Image sheet(left + static_cast<int>(num_columns) * (cell_width + margin),
              top + static_cast<int>(images.size()) * (cell_height + margin), 3);
  std::fill(sheet.pixels.begin(), sheet.pixels.end(), uint8_t{255});
  for (size_t column = 0; column < headings.size(); ++column) {
    style.draw(headings[column], left + static_cast<int>(column) * (cell_width + margin), margin, sheet);
  }
  for (size_t row = 0; row < images.size(); ++row) {
    const int y = top + static_cast<int>(row) * (cell_height + margin);
    if (row < row_labels.size()) style.draw(style.wrap(row_labels[row], label_width), margin, y, sheet);
    for (size_t column = 0; column < images[row].size(); ++column) {
      paste(images[row][column], left + static_cast<int>(column) * (cell_width + margin), y, sheet);
    }
  }
  return sheet;
}

}  // namespace difftune
