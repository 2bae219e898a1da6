#include "data/latent_cache.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <thread>
#include <unordered_map>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/parallel.h"
#include "base/prefetcher.h"
#include "base/progress.h"
#include "data/latent_file.h"
#include "data/prepared_image.h"
#include "data/stack_tensors.h"
#include "weights/finite.h"

namespace difftune {
namespace {

using ImageIndices = std::vector<uint32_t>;

struct PreparedBatch {
  at::Tensor images;
  std::vector<at::Tensor> alpha_masks;
};

class DatasetCacher {
 public:
  DatasetCacher(Dataset& dataset, const LatentCacheSettings& options, const DatasetGroupOptions& group)
      : dataset_(dataset), options_(options), format_(group.latent_format), reference_quirks_(group.reference_quirks) {}

  // The images without a usable entry, in the order in which they are encoded.
  ImageIndices find_missing() {
    ImageIndices order(dataset_.images.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
      return dataset_.images[a].bucket.area() < dataset_.images[b].bucket.area();
    });
    if (!options_.to_disk) return order;
    std::vector<uint8_t> usable(dataset_.images.size());
    std::vector<std::string> reasons(dataset_.images.size());
    parallel_for(dataset_.images.size(), [&](size_t i) {
      auto& image = dataset_.images[i];
      image.cached = CachedLatents{};
      image.cached->npz_file = latent_file_path(image.path, image.size, format_);
      if (!fs::exists(image.cached->npz_file)) return;
      if (!options_.skip_cache_check) {
        reasons[i] = why_unusable(image.cached->npz_file, format_, needed(image), source_of(image));
      }
      usable[i] = reasons[i].empty();
    });
    log_rebuilt(reasons);
    std::erase_if(order, [&](uint32_t i) { return usable[i]; });
    return order;
  }

  // Cuts `images` into batches as the reference does: at each change of bucket or kind, or when a batch is full.
  std::vector<ImageIndices> make_batches(const ImageIndices& images) const {
    std::vector<ImageIndices> batches;
    for (const uint32_t i : images) {
      const bool full = batches.empty() || batches.back().size() >= static_cast<size_t>(options_.vae_batch_size);
      if (full || !encoded_alike(batches.back().back(), i)) batches.emplace_back();
      batches.back().push_back(i);
    }
    return batches;
  }

  PreparedBatch prepare(const ImageIndices& batch) const {
    PreparedBatch prepared;
    std::vector<at::Tensor> pixels;
    for (const uint32_t i : batch) {
      const auto& image = dataset_.images[i];
      PreparedImage one = prepare_image(dataset_, image, centre_corner(image), false, reference_quirks_);
      pixels.push_back(std::move(one.pixels));
      prepared.alpha_masks.push_back(std::move(one.alpha_mask));
    }
    prepared.images = stack_tensors(pixels);
    return prepared;
  }

  void encode(const ImageIndices& batch, const PreparedBatch& prepared, const EncodeImages& encode_images) {
    const bool with_flipped = dataset_.subset_of(dataset_.images[batch[0]]).flip_aug;
    const at::Tensor latents = encode_images(prepared.images).cpu();
    const at::Tensor flipped = with_flipped ? encode_images(prepared.images.flip({3})).cpu() : at::Tensor();
    DT_CHECK(latents.dim() == 4 && latents.size(0) == static_cast<int64_t>(batch.size()));
    for (size_t k = 0; k < batch.size(); ++k) {
      auto& image = dataset_.images[batch[k]];
      const auto row = static_cast<int64_t>(k);
      CachedLatents entry{.npz_file = options_.to_disk ? image.cached->npz_file : "",
                          .latents = latents[row],
                          .latents_flipped = with_flipped ? flipped[row] : at::Tensor(),
                          .alpha_mask = prepared.alpha_masks[k],
                          .original_size = image.size,
                          .crop = letterbox_crop(image.bucket, image.size)};
      require_finite(image, entry);
      if (options_.to_disk) {
        write_latent_file(entry.npz_file, format_, entry, source_of(image));
      } else {
        image.cached = std::move(entry);
      }
    }
  }

 private:
  bool encoded_alike(uint32_t a, uint32_t b) const {
    const auto &x = dataset_.images[a], &y = dataset_.images[b];
    const auto &s = dataset_.subset_of(x), &t = dataset_.subset_of(y);
    return x.bucket == y.bucket && s.flip_aug == t.flip_aug && s.alpha_mask == t.alpha_mask;
  }

  LatentRequirements needed(const ImageRecord& image) const {
    const auto& subset = dataset_.subset_of(image);
    return {image.bucket, image.size, subset.flip_aug, subset.alpha_mask};
  }

  LatentSource source_of(const ImageRecord& image) const {
    return {.image = image.path,
            .preparation = fmt::format("{} {}{}", dataset_.interpolation_of(image).value_or("automatic"),
                                       to_string(image.resized), reference_quirks_ ? " reference" : ""),
            .encoder_id = options_.encoder_id};
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
      const auto& file = dataset_.images[entry.second].cached->npz_file;
      if (entry.first == 1) {
        log::warning("{} {}: it is rebuilt", file, reason);
      } else {
        log::warning("{} cache entries are rebuilt; each {} (the first: {})", entry.first, reason, file);
      }
    }
  }

  static void require_finite(const ImageRecord& image, const CachedLatents& entry) {
    for (const auto& latents : {entry.latents, entry.latents_flipped}) {
      if (latents.defined() && !all_finite(latents)) {
        fail("{}: the VAE gave latents that are not finite: use --no_half_vae, or another VAE", image.path);
      }
    }
  }

  Dataset& dataset_;
  const LatentCacheSettings& options_;
  const LatentFileFormat& format_;
  bool reference_quirks_;
};

// The disk is checked before the encoder starts, not when it is full after an hour.
void require_space(const Dataset& dataset, const ImageIndices& images, const LatentFileFormat& format) {
  constexpr uint64_t kOverhead = 2048;  // archive headers and the small arrays
  uint64_t needed = 0;
  for (const uint32_t i : images) {
    const auto& image = dataset.images[i];
    const auto& subset = dataset.subset_of(image);
    const auto area = static_cast<uint64_t>(image.bucket.area());
    const auto per_latent = static_cast<uint64_t>(format.pixels_per_latent * format.pixels_per_latent);
    needed +=
        area / per_latent * static_cast<uint64_t>(format.num_channels) * sizeof(float) * (subset.flip_aug ? 2 : 1) +
        kOverhead;
    if (subset.alpha_mask) needed += area * sizeof(float);
  }
  const fs::path folder = fs::path(dataset.images[images[0]].path).parent_path();
  if (const uint64_t free = free_space_bytes(folder); needed > free) {
    fail(
        "{}: the latent cache needs {} MB, and {} MB are free: make room, or use --cache_latents without "
        "--cache_latents_to_disk",
        folder.string(), needed >> 20, free >> 20);
  }
}

// An image in two datasets of different resolution would need two entries under one name.
void refuse_shared_files(const DatasetGroup& group) {
  std::unordered_map<std::string, SizePx> buckets;
  for (const auto& dataset : group.datasets()) {
    for (const auto& image : dataset.images) {
      const auto [at, is_new] = buckets.emplace(image.path, image.bucket);
      if (!is_new && at->second != image.bucket) {
        fail(
            "{}: the image is in two datasets, as {} and as {}, and the cache beside it can hold one: use "
            "--cache_latents without --cache_latents_to_disk, or a copy of the folder for each dataset",
            image.path, to_string(at->second), to_string(image.bucket));
      }
    }
  }
}

}  // namespace

void cache_latents(DatasetGroup& group, const EncodeImages& encode, const LatentCacheSettings& options) {
  DT_CHECK(group.options().cache_latents, "the group was built for uncached latents");
  if (options.to_disk && !group.options().latent_format.has_sized_names) refuse_shared_files(group);
  for (auto& dataset : group.datasets()) {
    DatasetCacher cacher(dataset, options, group.options());
    const auto missing = cacher.find_missing();
    const size_t num_found = dataset.images.size() - missing.size();
    if (num_found > 0) log::info("latents of {} images found on disk", num_found);
    const auto batches = cacher.make_batches(missing);
    if (batches.empty()) continue;
    if (options.to_disk) require_space(dataset, missing, group.options().latent_format);

    // Decoding runs ahead of the encoder, a few batches at most: a batch of photographs is large.
    const size_t num_threads = std::max(1u, std::thread::hardware_concurrency());
    Prefetcher<PreparedBatch> prepared(
        0, batches.size(), [&](size_t i) { return cacher.prepare(batches[i]); }, num_threads, num_threads + 1);
    Progress progress("caching latents", static_cast<int64_t>(missing.size()), "img");
    for (const auto& batch : batches) {
      cacher.encode(batch, *prepared.next(), encode);
      progress.advance(static_cast<int64_t>(batch.size()));
    }
  }
}

}  // namespace difftune
