// Reads clip_corpus.bin.gz (made by tests/data/text/make_corpus.py).
#pragma once

#include <gtest/gtest.h>
#include <zlib.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace difftune {

struct CorpusEntry {
  std::string text;
  std::vector<int32_t> ids;
};

inline std::string read_gzip(const std::string& path) {
  std::string data;
  const gzFile file = gzopen(path.c_str(), "rb");
  char buffer[1 << 16];
  for (int size; file != nullptr && (size = gzread(file, buffer, sizeof buffer)) > 0;) data.append(buffer, size);
  if (file != nullptr) gzclose(file);
  return data;
}

inline std::vector<CorpusEntry> read_corpus(const std::string& path) {
  const std::string data = read_gzip(path);
  std::vector<CorpusEntry> entries;
  size_t at = 0;
  const auto take = [&](void* to, size_t size) {
    if (size > 0) std::memcpy(to, data.data() + at, size);
    at += size;
  };
  while (at < data.size()) {
    CorpusEntry& entry = entries.emplace_back();
    uint32_t size = 0;
    take(&size, 4);
    entry.text.resize(size);
    take(entry.text.data(), size);
    take(&size, 4);
    std::vector<uint16_t> ids(size);
    take(ids.data(), 2 * size);
    entry.ids.assign(ids.begin(), ids.end());
  }
  return entries;
}

}  // namespace difftune
