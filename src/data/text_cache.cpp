#include "data/text_cache.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <unordered_map>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "data/caption_file.h"
#include "data/captions.h"
#include "data/text_file.h"
#include "weights/finite.h"

namespace difftune {
namespace {

// What makes the captions of a subset differ from step to step; empty: nothing.
std::string why_not_fixed(const SubsetConfig& subset) {
  if (subset.shuffle_caption) return "shuffle_caption";
  if (subset.caption_dropout_rate > 0) return "caption_dropout_rate";
  if (subset.caption_dropout_every_n_epochs > 0) return "caption_dropout_every_n_epochs";
  if (subset.caption_tag_dropout_rate > 0) return "caption_tag_dropout_rate";
  if (subset.token_warmup_step > 0) return "token_warmup_step";
  if (subset.enable_wildcard) return "enable_wildcard";
  return "";
}

// The text that the image is trained with in every step.
std::string fixed_caption(const Dataset& dataset, const ImageRecord& image, bool reference_quirks) {
  if (reference_quirks) return image.caption;  // without prefix, suffix and secondary separator
  PythonRandom unused;
  return process_caption(image.caption, dataset.subset_of(image), {.epoch = 1, .step = 1, .max_train_steps = 1},
                         unused);
}

struct Entry {
  ImageRecord* image;
  TextSource source;
};

class TextCacher {
 public:
  TextCacher(DatasetGroup& group, const TextCacheSettings& settings)
      : settings_(settings), format_(group.options().text_format) {
    for (auto& dataset : group.datasets()) {
      for (auto& image : dataset.images) {
        entries_.push_back({&image, source_of(dataset, image, group.options().reference_quirks)});
        image.cached_text = CachedText{};
      }
    }
    if (settings_.to_disk) refuse_shared_files();
  }

  // Numbers of the entries that are to be encoded.
  std::vector<size_t> find_missing() {
    std::vector<size_t> missing(entries_.size());
    std::iota(missing.begin(), missing.end(), 0);
    if (!settings_.to_disk) return missing;
    std::vector<uint8_t> usable(entries_.size());
    std::vector<std::string> reasons(entries_.size());
    parallel_for(entries_.size(), [&](size_t i) {
      std::string& file = entries_[i].image->cached_text->npz_file;
      file = text_file_path(entries_[i].image->path, format_);
      if (!fs::exists(file)) return;
      if (!settings_.skip_cache_check) reasons[i] = why_unusable(file, format_, entries_[i].source);
      usable[i] = reasons[i].empty();
    });
    log_rebuilt(reasons);
    std::erase_if(missing, [&](size_t i) { return usable[i]; });
    return missing;
  }

  size_t num_entries() const { return entries_.size(); }
  const std::string& caption(size_t entry) const { return entries_[entry].source.caption; }

  void store(size_t entry, TextOutputs outputs) {
    ImageRecord& image = *entries_[entry].image;
    for (const auto& [name, output] : outputs) {
      if (!all_finite(output)) {
        fail("{}: the text encoders gave {} that is not finite for its caption: use --mixed_precision bf16 or no",
             image.path, name);
      }
    }
    if (settings_.to_disk) {
      const std::string& file = image.cached_text->npz_file;
      require_space(file, outputs);
      write_text_file(file, format_, outputs, entries_[entry].source);
    } else {
      image.cached_text->outputs = std::move(outputs);
    }
  }

 private:
  TextSource source_of(const Dataset& dataset, const ImageRecord& image, bool reference_quirks) const {
    const SubsetConfig& subset = dataset.subset_of(image);
    const fs::path caption_file = fs::path(image.path).replace_extension(subset.caption_extension);
    return {.caption = fixed_caption(dataset, image, reference_quirks),
            .caption_file = fs::exists(caption_file) ? caption_file.string() : "",
            .encoder_id = settings_.encoder_id};
  }

  // An image in two subsets with different captions would need two entries under one name.
  void refuse_shared_files() const {
    std::unordered_map<std::string, const std::string*> captions;
    for (const auto& entry : entries_) {
      const auto [at, is_new] = captions.emplace(text_file_path(entry.image->path, format_), &entry.source.caption);
      if (!is_new && *at->second != entry.source.caption) {
        fail(
            "{}: the cache beside the image can hold one caption, and there are two, '{}' and '{}': use "
            "--cache_text_encoder_outputs without --cache_text_encoder_outputs_to_disk",
            entry.image->path, *at->second, entry.source.caption);
      }
    }
  }

  static void require_space(const std::string& file, const TextOutputs& outputs) {
    uint64_t needed = 4096;
    for (const auto& [name, output] : outputs) needed += 2 * output.nbytes();
    const fs::path folder = fs::path(file).parent_path();
    if (free_space_bytes(folder) >= needed) return;
    fail(
        "{}: the disk is full: make room, or use --cache_text_encoder_outputs without "
        "--cache_text_encoder_outputs_to_disk",
        folder.string());
  }

  void log_rebuilt(const std::vector<std::string>& reasons) const {
    std::map<std::string, std::pair<size_t, size_t>> count_and_first;
    for (size_t i = reasons.size(); i-- > 0;) {
      if (reasons[i].empty()) continue;
      auto& [count, first] = count_and_first[reasons[i]];
      ++count;
      first = i;
    }
    for (const auto& [reason, entry] : count_and_first) {
      log::warning("{} text cache {} rebuilt: {} {}", entry.first, entry.first == 1 ? "entry is" : "entries are",
                   entries_[entry.second].image->cached_text->npz_file, reason);
    }
  }

  const TextCacheSettings& settings_;
  const TextFileFormat& format_;
  std::vector<Entry> entries_;
};

}  // namespace

void require_fixed_captions(const DatasetGroup& group) {
  for (const auto& dataset : group.datasets()) {
    for (const auto& subset : dataset.subsets) {
      const std::string reason = why_not_fixed(subset.config);
      if (reason.empty()) continue;
      fail(
          "{}: {} changes captions from step to step, and cached text encoder outputs do not: remove {} or "
          "cache_text_encoder_outputs",
          subset.config.image_dir, reason, reason);
    }
  }
}

void cache_text_outputs(DatasetGroup& group, const EncodeCaptions& encode, const TextCacheSettings& options) {
  DT_CHECK(group.options().cache_text, "the group was built for captions that are encoded in every step");
  require_fixed_captions(group);
  TextCacher cacher(group, options);
  const auto missing = cacher.find_missing();
  if (const size_t found = cacher.num_entries() - missing.size(); found > 0) {
    log::info("text encoder outputs of {} captions found on disk", found);
  }
  if (missing.empty()) return;
  Progress progress("caching text encoder outputs", static_cast<int64_t>(missing.size()), "captions");
  const auto batch_size = static_cast<size_t>(std::max(options.batch_size, 1));
  for (size_t first = 0; first < missing.size(); first += batch_size) {
    const size_t count = std::min(batch_size, missing.size() - first);
    std::vector<std::string> captions;
    for (size_t i = 0; i < count; ++i) captions.push_back(cacher.caption(missing[first + i]));
    const TextOutputs encoded = encode(captions);
    for (size_t i = 0; i < count; ++i) {
      TextOutputs outputs;
      // Rows are copied: a view would keep the whole batch.
      for (const auto& [name, rows] : encoded) outputs[name] = rows[static_cast<int64_t>(i)].cpu().clone();
      cacher.store(missing[first + i], std::move(outputs));
    }
    progress.advance(static_cast<int64_t>(count));
  }
}

}  // namespace difftune
