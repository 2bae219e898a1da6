#include "text/t5_table.h"

#include <zlib.h>

#include "base/error.h"

extern "C" const unsigned char difftune_t5_table[], difftune_t5_table_end[];

namespace difftune {

std::string unpack_t5_table() {
  constexpr size_t kModelBytes = 791656;
  constexpr int kGzip = 16 + MAX_WBITS;
  std::string model(kModelBytes, '\0');
  z_stream stream{};
  DT_CHECK(inflateInit2(&stream, kGzip) == Z_OK);
  stream.next_in = const_cast<unsigned char*>(difftune_t5_table);
  stream.avail_in = static_cast<uInt>(difftune_t5_table_end - difftune_t5_table);
  stream.next_out = reinterpret_cast<unsigned char*>(model.data());
  stream.avail_out = static_cast<uInt>(model.size());
  const int status = inflate(&stream, Z_FINISH);
  const size_t rest = stream.avail_out;
  inflateEnd(&stream);
  DT_CHECK(status == Z_STREAM_END && rest == 0, "the embedded T5 table does not unpack: {}", status);
  return model;
}

}  // namespace difftune
