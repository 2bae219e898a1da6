// DatasetGroup::load: from a plan to tensors.

#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>

#include <algorithm>

#include "base/error.h"
#include "data/dataset_group.h"
#include "data/latent_file.h"
#include "data/prepared_image.h"
#include "data/stack_tensors.h"
#include "data/text_file.h"

namespace difftune {
namespace {

struct Sample {
  at::Tensor latents, pixels, alpha_mask;
  SizePx original_size;
  CropBox crop;
};

Sample sample_from_cache(const ImageRecord& image, const LatentFileFormat& format, bool flip) {
  const CachedLatents& cached = *image.cached;
  const CachedLatents entry =
      cached.npz_file.empty() ? cached : read_latent_file(cached.npz_file, format, image.bucket);
  Sample sample{.latents = flip ? entry.latents_flipped : entry.latents,
                .pixels = {},
                .alpha_mask = entry.alpha_mask,
                .original_size = entry.original_size,
                .crop = entry.crop};
  if (!sample.latents.defined()) fail("{}: the cache entry lacks latents_flipped: delete it", cached.npz_file);
  if (flip && sample.alpha_mask.defined()) sample.alpha_mask = sample.alpha_mask.flip({1});
  return sample;
}

Sample sample_from_image(const Dataset& dataset, const ImageRecord& image, const SamplePlan& plan, bool quirks) {
  PreparedImage prepared = prepare_image(dataset, image, {plan.crop_x, plan.crop_y}, plan.flip, quirks);
  // An image that is used at its own size was not letterboxed.
  const CropBox crop = dataset.config.enable_bucket ? letterbox_crop(image.bucket, image.size) : CropBox{};
  const SizePx original = dataset.config.enable_bucket ? image.size : image.bucket;
  return {{}, std::move(prepared.pixels), std::move(prepared.alpha_mask), original, crop};
}

// Where only some samples have a mask, the others have one of ones.
at::Tensor stack_masks(std::vector<at::Tensor> masks, SizePx size) {
  bool any = false;
  for (const auto& mask : masks) any = any || mask.defined();
  if (!any) return {};
  for (auto& mask : masks) {
    if (!mask.defined()) mask = at::ones({size.height, size.width});
  }
  return stack_tensors(masks);
}

TextOutputs text_of(const ImageRecord& image, const TextFileFormat& format) {
  const CachedText& cached = *image.cached_text;
  return cached.npz_file.empty() ? cached.outputs : read_text_file(cached.npz_file, format);
}

// One tensor per name; where samples differ in length the shorter ones are filled up with zeros.
TextOutputs stack_texts(const std::vector<TextOutputs>& texts) {
  TextOutputs batch;
  for (const auto& [name, first] : texts[0]) {
    std::vector<at::Tensor> rows;
    for (const TextOutputs& text : texts) rows.push_back(text.at(name));
    batch[name] = stack_padded(rows);
  }
  return batch;
}

}  // namespace

at::Tensor Batch::sizes() const {
  at::Tensor sizes = at::empty({static_cast<int64_t>(original_sizes.size()), 6}, at::kFloat);
  float* out = sizes.mutable_data_ptr<float>();
  for (size_t i = 0; i < original_sizes.size(); ++i) {
    for (const int value : {original_sizes[i].height, original_sizes[i].width, crop_top_lefts[i].y, crop_top_lefts[i].x,
                            target_sizes[i].height, target_sizes[i].width}) {
      *out++ = static_cast<float>(value);
    }
  }
  return sizes;
}

Batch DatasetGroup::load(const BatchPlan& plan) const {
  const Dataset& dataset = datasets_.at(static_cast<size_t>(plan.dataset));
  Batch batch;
  batch.loss_weights = at::ones({static_cast<int64_t>(plan.samples.size())}, at::kFloat);
  float* weights = batch.loss_weights.mutable_data_ptr<float>();
  std::vector<at::Tensor> latents, images, masks;
  std::vector<TextOutputs> texts;
  for (const auto& planned : plan.samples) {
    const ImageRecord& image = dataset.images.at(planned.image);
    DT_CHECK(image.cached.has_value() == options_.cache_latents, "latents of {}", image.path);
    DT_CHECK(image.cached_text.has_value() == options_.cache_text, "text of {}", image.path);
    Sample sample = image.cached ? sample_from_cache(image, options_.latent_format, planned.flip)
                                 : sample_from_image(dataset, image, planned, options_.reference_quirks);
    const SizePx target = image.bucket;
    const double left = planned.flip ? target.width - sample.crop.right : sample.crop.left;
    batch.original_sizes.push_back(sample.original_size);
    batch.crop_top_lefts.push_back({static_cast<int>(left), static_cast<int>(sample.crop.top)});
    batch.target_sizes.push_back(target);
    batch.captions.push_back(planned.caption);
    batch.files.push_back(image.path);
    *weights++ = planned.loss_weight;
    masks.push_back(sample.alpha_mask);
    if (image.cached_text) texts.push_back(text_of(image, options_.text_format));
    (image.cached ? latents : images).push_back(image.cached ? sample.latents : sample.pixels);
  }
  if (!latents.empty()) batch.latents = stack_tensors(latents);
  if (!images.empty()) batch.images = stack_tensors(images);
  if (!texts.empty()) batch.text = stack_texts(texts);
  batch.alpha_masks = stack_masks(std::move(masks), batch.target_sizes.at(0));
  return batch;
}

}  // namespace difftune
