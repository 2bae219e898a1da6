#include "text/tokenizer_files.h"

#include <algorithm>
#include <cstdlib>
#include <vector>

namespace difftune {

namespace {

std::string replaced(std::string_view text, char from, std::string_view to) {
  std::string result;
  for (const char c : text) {
    if (c == from) {
      result += to;
    } else {
      result += c;
    }
  }
  return result;
}

std::optional<fs::path> hub_cache() {
  const auto variable = [](const char* name) -> std::optional<fs::path> {
    const char* value = std::getenv(name);
    return value != nullptr && *value != '\0' ? std::optional<fs::path>(value) : std::nullopt;
  };
  if (const auto folder = variable("HF_HUB_CACHE")) return folder;
  if (const auto folder = variable("HUGGINGFACE_HUB_CACHE")) return folder;
  if (const auto home = variable("HF_HOME")) return *home / "hub";
  if (const auto caches = variable("XDG_CACHE_HOME")) return *caches / "huggingface" / "hub";
  if (const auto home = variable("HOME")) return *home / ".cache" / "huggingface" / "hub";
  return std::nullopt;
}

// models--ORG--NAME/snapshots/REVISION/FILE, the revision that refs/main names before the others.
std::optional<fs::path> find_in_hub_cache(const fs::path& cache, std::string_view id, std::string_view file) {
  const fs::path model = cache / ("models--" + replaced(id, '/', "--"));
  std::error_code error;
  if (!fs::is_directory(model / "snapshots", error)) return std::nullopt;
  std::vector<fs::path> revisions;
  for (const auto& entry : fs::directory_iterator(model / "snapshots", error)) revisions.push_back(entry.path());
  std::sort(revisions.begin(), revisions.end());
  if (fs::exists(model / "refs" / "main", error)) {
    std::string main = read_file(model / "refs" / "main");
    main.erase(std::find_if(main.begin(), main.end(), [](char c) { return c == '\n' || c == '\r'; }), main.end());
    revisions.insert(revisions.begin(), model / "snapshots" / main);
  }
  for (const fs::path& revision : revisions) {
    if (fs::exists(revision / file, error)) return revision / file;
  }
  return std::nullopt;
}

}  // namespace

std::optional<fs::path> find_tokenizer_file(std::string_view id, std::string_view file,
                                            const std::optional<fs::path>& cache) {
  if (cache) {
    const fs::path place = *cache / replaced(id, '/', "_") / file;
    if (fs::exists(place)) return place;
    if (const auto found = find_in_hub_cache(*cache, id, file)) return found;
  }
  const auto hub = hub_cache();
  return hub ? find_in_hub_cache(*hub, id, file) : std::nullopt;
}

}  // namespace difftune
