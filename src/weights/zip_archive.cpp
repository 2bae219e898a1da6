#include "weights/zip_archive.h"

#include <zlib.h>

#include <algorithm>

#include "base/error.h"
#include "weights/byte_reader.h"

namespace difftune {
namespace {

constexpr uint32_t kLocalHeader = 0x04034b50, kCentralHeader = 0x02014b50, kEndOfDirectory = 0x06054b50,
                   kZip64End = 0x06064b50, kZip64Locator = 0x07064b50;
constexpr size_t kEndBytes = 22, kMaxCommentBytes = 65535, kZip64LocatorBytes = 20, kCentralBytes = 46;
constexpr size_t kLocalBytes = 30, kExtraBytes = 4;
constexpr uint16_t kZip64Version = 45;
constexpr uint16_t kPaddingExtra = 0x4246;  // the one that PyTorch pads with
constexpr uint16_t kStored = 0, kDeflated = 8, kZip64Extra = 1, kUtf8Flag = 0x800, kEncryptedFlag = 1;

struct Directory {
  uint64_t offset = 0, num_entries = 0;
};

Directory find_directory(std::span<const std::byte> file, const fs::path& path) {
  if (file.size() < kEndBytes)
    fail("{}: is truncated: {} bytes found, a zip archive has more", path.string(), file.size());
  const size_t last = file.size() - kEndBytes;
  const size_t first = last > kMaxCommentBytes ? last - kMaxCommentBytes : 0;
  for (size_t at = last + 1; at-- > first;) {
    ByteReader end(file, path, at);
    if (end.read<uint32_t>() != kEndOfDirectory) continue;
    end.skip(6);
    Directory directory;
    directory.num_entries = end.read<uint16_t>();
    end.skip(4);
    directory.offset = end.read<uint32_t>();
    if (at < kZip64LocatorBytes) return directory;
    ByteReader locator(file, path, at - kZip64LocatorBytes);
    if (locator.read<uint32_t>() != kZip64Locator) return directory;
    locator.skip(4);
    ByteReader end64(file, path, locator.read<uint64_t>());
    if (end64.read<uint32_t>() != kZip64End) break;
    end64.skip(28);
    directory.num_entries = end64.read<uint64_t>();
    end64.skip(8);
    directory.offset = end64.read<uint64_t>();
    return directory;
  }
  fail("{}: is truncated: the directory at the end of the zip archive is missing; copy or download it again",
       path.string());
}

// Replaces the fields that did not fit in 32 bits by those of the zip64 extra field, in the order the format fixes.
void read_zip64_extra(std::string_view extra, ZipEntry& entry, uint64_t& local_offset, const fs::path& path) {
  ByteReader fields(std::as_bytes(std::span(extra)), path);
  while (fields.remaining() >= 4) {
    const auto id = fields.read<uint16_t>();
    const std::string_view data = fields.take(fields.read<uint16_t>());
    if (id != kZip64Extra) continue;
    ByteReader values(std::as_bytes(std::span(data)), path);
    if (entry.num_bytes == UINT32_MAX) entry.num_bytes = values.read<uint64_t>();
    if (entry.compressed_bytes == UINT32_MAX) entry.compressed_bytes = values.read<uint64_t>();
    if (local_offset == UINT32_MAX) local_offset = values.read<uint64_t>();
  }
}

ZipEntry read_central_entry(ByteReader& directory, std::span<const std::byte> file) {
  const fs::path& path = directory.path();
  if (directory.read<uint32_t>() != kCentralHeader) fail("{}: the zip archive's directory is damaged", path.string());
  directory.skip(4);
  const auto flags = directory.read<uint16_t>();
  const auto method = directory.read<uint16_t>();
  directory.skip(4);
  ZipEntry entry;
  entry.crc = directory.read<uint32_t>();
  entry.compressed_bytes = directory.read<uint32_t>();
  entry.num_bytes = directory.read<uint32_t>();
  const auto name_bytes = directory.read<uint16_t>(), extra_bytes = directory.read<uint16_t>(),
             comment_bytes = directory.read<uint16_t>();
  directory.skip(8);
  uint64_t local_offset = directory.read<uint32_t>();
  entry.name = directory.take(name_bytes);
  read_zip64_extra(directory.take(extra_bytes), entry, local_offset, path);
  directory.skip(comment_bytes);
  if ((flags & kEncryptedFlag) != 0 || (method != kStored && method != kDeflated)) {
    fail("{}: entry '{}' of the zip archive is encrypted or of compression method {}, which is not supported",
         path.string(), entry.name, method);
  }
  entry.is_deflated = method == kDeflated;

  ByteReader local(file, path, local_offset);
  if (local.read<uint32_t>() != kLocalHeader) fail("{}: the zip archive's directory is damaged", path.string());
  local.skip(22);
  const auto local_name_bytes = local.read<uint16_t>(), local_extra_bytes = local.read<uint16_t>();
  local.skip(local_name_bytes + local_extra_bytes);
  entry.offset = local.position();
  local.skip(entry.compressed_bytes);
  if (!entry.is_deflated && entry.compressed_bytes != entry.num_bytes) {
    fail("{}: entry '{}' of the zip archive has two sizes, {} and {}", path.string(), entry.name,
         entry.compressed_bytes, entry.num_bytes);
  }
  return entry;
}

// Appends in pieces, so that an archive that lies about a size cannot ask for the memory.
std::string inflate_entry(std::string_view compressed, const ZipEntry& entry, const fs::path& path) {
  z_stream stream{};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) throw std::bad_alloc();
  std::string content;
  std::string piece(size_t{1} << 20, '\0');
  int status = Z_OK;
  while (status == Z_OK && content.size() <= entry.num_bytes) {
    if (stream.avail_in == 0) {
      const size_t length = std::min<size_t>(compressed.size(), size_t{1} << 30);
      stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(compressed.data()));
      stream.avail_in = static_cast<uInt>(length);
      compressed.remove_prefix(length);
    }
    stream.next_out = reinterpret_cast<Bytef*>(piece.data());
    stream.avail_out = static_cast<uInt>(piece.size());
    status = inflate(&stream, Z_NO_FLUSH);
    content.append(piece.data(), piece.size() - stream.avail_out);
  }
  inflateEnd(&stream);
  if (status != Z_STREAM_END || content.size() != entry.num_bytes) {
    fail("{}: entry '{}' of the zip archive is damaged", path.string(), entry.name);
  }
  return content;
}

uint32_t crc_of(std::string_view data, uint32_t crc = 0) {
  if (data.empty()) return crc;  // zlib takes a null pointer as the wish for a new start
  return static_cast<uint32_t>(crc32_z(crc, reinterpret_cast<const Bytef*>(data.data()), data.size()));
}

template <typename T>
void append(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

// The fields that a local header and its directory entry share.
std::string shared_fields(std::string_view name, uint32_t crc, uint32_t num_bytes, size_t extra_bytes) {
  constexpr uint16_t kVersion = 20, kTime = 0, kDate = (0 << 9) | (1 << 5) | 1;  // 1 January 1980, as NumPy writes it
  const bool is_ascii = std::all_of(name.begin(), name.end(), [](unsigned char c) { return c < 0x80; });
  std::string out;
  append(out, kVersion);
  append(out, is_ascii ? uint16_t{0} : kUtf8Flag);
  append(out, kStored);
  append(out, kTime);
  append(out, kDate);
  append(out, crc);
  append(out, num_bytes);
  append(out, num_bytes);
  append(out, static_cast<uint16_t>(name.size()));
  append(out, static_cast<uint16_t>(extra_bytes));
  return out;
}

}  // namespace

std::vector<ZipEntry> read_zip_directory(std::span<const std::byte> file, const fs::path& path) {
  const Directory directory = find_directory(file, path);
  ByteReader reader(file, path, directory.offset);
  if (directory.num_entries > reader.remaining() / kCentralBytes) {
    fail("{}: the zip archive's directory is damaged", path.string());
  }
  std::vector<ZipEntry> entries;
  entries.reserve(directory.num_entries);
  for (uint64_t i = 0; i < directory.num_entries; ++i) entries.push_back(read_central_entry(reader, file));
  return entries;
}

std::string read_zip_entry(std::span<const std::byte> file, const ZipEntry& entry, const fs::path& path) {
  const std::string_view stored = ByteReader(file, path, entry.offset).take(entry.compressed_bytes);
  std::string content = entry.is_deflated ? inflate_entry(stored, entry, path) : std::string(stored);
  if (crc_of(content) != entry.crc) {
    fail("{}: entry '{}' of the zip archive is damaged (its CRC is wrong)", path.string(), entry.name);
  }
  return content;
}

void ZipWriter::add(std::string_view name, std::string_view head, std::span<const std::byte> body) {
  const uint64_t num_bytes = head.size() + body.size();
  if (num_bytes >= UINT32_MAX || name.size() > UINT16_MAX) {
    fail("{}: the array '{}' has {} MiB, more than fits in an entry of a zip archive (4 GiB)", path_.string(), name,
         num_bytes >> 20);
  }
  const std::string_view content(reinterpret_cast<const char*>(body.data()), body.size());
  const uint32_t crc = crc_of(content, crc_of(head));
  const auto num_bytes32 = static_cast<uint32_t>(num_bytes);

  std::string place;  // zip64 extra field of the directory entry
  if (position_ >= UINT32_MAX) {
    append(place, kZip64Extra);
    append(place, static_cast<uint16_t>(sizeof position_));
    append(place, position_);
  }
  append(directory_, kCentralHeader);
  append(directory_, place.empty() ? uint16_t{20} : kZip64Version);
  directory_ += shared_fields(name, crc, num_bytes32, place.size());
  directory_.append(10, '\0');  // comment, disk, internal and external attributes
  append(directory_, place.empty() ? static_cast<uint32_t>(position_) : UINT32_MAX);
  directory_ += name;
  directory_ += place;
  ++num_entries_;

  std::string padding;
  const uint64_t begin = position_ + kLocalBytes + name.size();
  if (begin % alignment_ != 0) {
    const auto bytes = static_cast<uint16_t>((alignment_ - (begin + kExtraBytes) % alignment_) % alignment_);
    append(padding, kPaddingExtra);
    append(padding, bytes);
    padding.append(bytes, 'Z');
  }
  std::string local;
  append(local, kLocalHeader);
  local += shared_fields(name, crc, num_bytes32, padding.size());
  local += name;
  local += padding;
  local += head;
  file_.write(local);
  file_.write(content);
  position_ += local.size() + content.size();
}

void ZipWriter::commit() {
  std::string end = std::move(directory_);
  const uint64_t directory_bytes = end.size();
  const bool is_zip64 = position_ + directory_bytes >= UINT32_MAX || num_entries_ >= UINT16_MAX;
  if (is_zip64) {
    const uint64_t end64 = position_ + directory_bytes;
    append(end, kZip64End);
    append(end, uint64_t{44});  // bytes that follow
    append(end, kZip64Version);
    append(end, kZip64Version);
    append(end, uint64_t{0});  // disks
    append(end, num_entries_);
    append(end, num_entries_);
    append(end, directory_bytes);
    append(end, position_);
    append(end, kZip64Locator);
    append(end, uint32_t{0});
    append(end, end64);
    append(end, uint32_t{1});
  }
  const uint16_t num_entries = is_zip64 ? UINT16_MAX : static_cast<uint16_t>(num_entries_);
  append(end, kEndOfDirectory);
  append(end, uint32_t{0});
  append(end, num_entries);
  append(end, num_entries);
  append(end, is_zip64 ? UINT32_MAX : static_cast<uint32_t>(directory_bytes));
  append(end, is_zip64 ? UINT32_MAX : static_cast<uint32_t>(position_));
  append(end, uint16_t{0});
  file_.write(end);
  file_.commit();
}

}  // namespace difftune
