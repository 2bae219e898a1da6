#include "text/token_row.h"

#include "base/error.h"
#include "text/unicode.h"

namespace difftune {

void require_utf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    char32_t character = 0;
    const size_t length = decode_utf8_character(text.substr(at), character);
    if (length == 0 || (character >= 0xD800 && character < 0xE000)) {
      fail("text is not UTF-8: byte 0x{:02x} at position {}; save it as UTF-8", static_cast<uint8_t>(text[at]), at);
    }
    at += length;
  }
}

}  // namespace difftune
