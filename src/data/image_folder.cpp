#include "data/image_folder.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <map>

#include "base/error.h"
#include "base/log.h"
#include "image/read_image.h"

namespace difftune {
namespace {

namespace fs = std::filesystem;

std::string with_case(std::string text, int (*convert)(int)) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [&](unsigned char c) { return static_cast<char>(convert(c)); });
  return text;
}

bool is_readable_image(const fs::path& file) {
  const auto format = format_of_name(file);
  return format && is_built_in(*format);
}

void require_folder(const std::string& folder) {
  std::error_code error;
  if (fs::is_directory(folder, error)) {
    fs::directory_iterator(folder, error);
    if (error) fail("{}: the folder cannot be read ({}): check its permissions", folder, error.message());
    return;
  }
  if (fs::exists(folder, error)) {
    fail("{}: expected a folder with images, got a file: name the folder it is in", folder);
  }
  fail("{}: no such folder: check the path (it is relative to {})", folder, fs::current_path(error).string());
}

std::string joined(const std::string& folder, const std::string& name) {
  return folder.ends_with('/') ? folder + name : folder + "/" + name;
}

struct Listing {
  std::vector<std::string> images;
  size_t num_mac_files = 0;
  std::vector<std::string> mixed_case;
};

Listing read_listing(const std::string& folder) {
  Listing listing;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    const std::string extension = entry.path().extension().string();
    const std::string lower = with_case(extension, std::tolower);
    if (!is_readable_image(entry.path()) || !entry.is_regular_file()) continue;
    if (name[0] == '.') {
      listing.num_mac_files += name.starts_with("._");
    } else if (extension == lower || extension == with_case(extension, std::toupper)) {
      listing.images.push_back(joined(folder, name));
    } else {
      listing.mixed_case.push_back(name);
    }
  }
  std::sort(listing.images.begin(), listing.images.end());
  return listing;
}

uint32_t little_endian_u32(std::ifstream& file, std::streamoff offset) {
  std::array<unsigned char, 4> bytes{};
  file.seekg(offset);
  file.read(reinterpret_cast<char*>(bytes.data()), bytes.size());
  return bytes[0] | bytes[1] << 8 | bytes[2] << 16 | uint32_t{bytes[3]} << 24;
}

// Whether the file ends as a complete file of its format does. Says no too often rather than too rarely.
bool looks_complete(const std::string& path, ImageFormat format) {
  std::ifstream file(path, std::ios::binary);
  file.seekg(0, std::ios::end);
  const auto size = static_cast<int64_t>(file.tellg());
  const auto tail_size = std::min<int64_t>(size, 1024);
  std::string tail(static_cast<size_t>(tail_size), '\0');
  file.seekg(size - tail_size);
  file.read(tail.data(), tail_size);
  switch (format) {
    case ImageFormat::png:
      return tail.find("IEND") != std::string::npos;
    case ImageFormat::jpeg:
      return tail.find("\xff\xd9") != std::string::npos;
    case ImageFormat::webp:
      return size >= int64_t{little_endian_u32(file, 4)} + 8;
    case ImageFormat::bmp: {
      const int64_t stated = little_endian_u32(file, 2);
      return stated > 0 && size >= stated;
    }
    case ImageFormat::avif:
    case ImageFormat::jpeg_xl:
      return false;
  }
  return false;
}

}  // namespace

std::vector<std::string> list_images(const std::string& folder, Problems& problems) {
  require_folder(folder);
  Listing listing = read_listing(folder);
  if (listing.num_mac_files > 0) {
    log::info("{}: {} macOS \"._\" files are skipped; they hold no images", folder, listing.num_mac_files);
  }
  if (!listing.mixed_case.empty()) {
    log::warning("{}: {} images are skipped for the mixed case of their extension (such as {}): rename them", folder,
                 listing.mixed_case.size(), listing.mixed_case[0]);
  }
  // Images of one stem are not always neighbours (a.jpg, a-1.png, a.png), hence the map.
  std::map<std::string, std::string> by_stem;
  for (const auto& image : listing.images) {
    const auto [other, is_new] = by_stem.emplace(fs::path(image).stem().string(), image);
    if (is_new) continue;
    problems.add(
        fmt::format("{} and {} have the same name but for the extension, so they would share caption and cache: "
                    "rename or remove one",
                    other->second, fs::path(image).filename().string()));
  }
  return std::move(listing.images);
}

std::string describe_folder(const std::string& folder) {
  require_folder(folder);
  std::map<std::string, size_t> extensions;
  std::vector<std::string> subfolders;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.is_directory()) {
      subfolders.push_back(entry.path().filename().string());
    } else {
      const std::string extension = entry.path().extension().string();
      ++extensions[extension.empty() ? "files without extension" : extension];
    }
  }
  std::string text;
  for (const auto& [extension, count] : extensions) {
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, extension);
  }
  if (!subfolders.empty()) {
    std::sort(subfolders.begin(), subfolders.end());
    const size_t shown = std::min<size_t>(subfolders.size(), 5);
    text += fmt::format("{}{} subfolders ({}{})", text.empty() ? "" : ", ", subfolders.size(),
                        fmt::join(subfolders.begin(), subfolders.begin() + static_cast<std::ptrdiff_t>(shown), ", "),
                        shown < subfolders.size() ? ", ..." : "");
  }
  return text.empty() ? "nothing" : text;
}

ImageInfo inspect_image(const std::string& path, ReadOptions options) {
  const ImageInfo info = read_image_info(path, options);
  if (!looks_complete(path, info.format)) read_image(path, false, options);
  return info;
}

}  // namespace difftune
