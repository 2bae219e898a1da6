// All datasets of a run: they plan the batches of an epoch and load a planned batch.
//
// plan_epoch() makes every random decision of an epoch at once, in the order in which the reference (one process, no
// loader workers) makes them; load() decides nothing, so batches can be loaded ahead on any number of threads.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/python_random.h"
#include "data/batch_plan.h"
#include "data/captions.h"
#include "data/dataset.h"
#include "data/dataset_config.h"

namespace difftune {

struct DatasetGroupOptions {
  uint64_t seed = 0;           // --seed; decides the order of batches
  bool cache_latents = false;  // cache_latents() will be called before the first batch
  bool cache_text = false;     // cache_text_outputs() will be
  LatentFileFormat latent_format = {};
  TextFileFormat text_format = {};
  bool reference_quirks = false;  // as the reference: images are not rotated by their EXIF orientation
};

// What the plan of an epoch depends on beside the data.
struct EpochContext {
  int64_t max_train_steps = 0;  // scales a token_warmup_step below 1
  int gradient_accumulation_steps = 1;
  // Called for each batch where the reference's training step draws from the same generator, which is after the draws
  // of the next batch and before those of the one after (multires noise).
  std::function<void(BatchPlan&, PythonRandom&)> step_draws;
};

// A loaded batch of B samples.
struct Batch {
  at::Tensor latents;       // [B, C, h, w], unscaled, in the cache's dtype; undefined where latents are not cached
  at::Tensor images;        // [B, 3, H, W] float32 in [-1, 1]; undefined where latents are cached
  at::Tensor alpha_masks;   // [B, H, W] float32 in [0, 1]; undefined where no sample has a mask. The
                            // training step multiplies the loss with it (a cache entry may hold one unasked)
  at::Tensor loss_weights;  // [B] float32
  std::vector<std::string> captions;
  // Cached outputs of the text encoders, [B, ...] each, in the cache's dtype; empty where they are not cached. Where
  // samples have different lengths the shorter ones end in zeros.
  TextOutputs text;
  std::vector<std::string> files;
  // As SDXL is conditioned on them, in pixels.
  std::vector<SizePx> original_sizes;   // image before resizing
  std::vector<PointPx> crop_top_lefts;  // of the letterboxed image, see letterbox_crop()
  std::vector<SizePx> target_sizes;

  // These as numbers, float32 [B, 6]: height and width before resizing, top and left of the crop, height and width.
  at::Tensor sizes() const;
};

class DatasetGroup {
 public:
  // Lists the folders, reads captions and image headers (in parallel) and makes the buckets. Throws UserError that
  // lists every bad image or caption at once.
  DatasetGroup(std::vector<DatasetConfig> configs, const DatasetGroupOptions& options);

  int64_t num_batches_per_epoch() const { return num_batches_; }
  int64_t num_train_images() const;  // with repeats
  int64_t num_reg_images() const;    // with repeats, before balancing
  const std::vector<Dataset>& datasets() const { return datasets_; }
  std::vector<Dataset>& datasets() { return datasets_; }
  const DatasetGroupOptions& options() const { return options_; }
  // The seed of the batch order, drawn from --seed as the reference does (42 gives 478163327).
  uint64_t order_seed() const { return order_seed_; }

  // The batches of an epoch (0: the first), in training order. `sampler_seed` is the int64 that the loader's sampler
  // draws from torch's generator at the start of the epoch; `random` is the run's Python generator, whose state moves
  // on as it would in the reference. The result depends on nothing but these arguments, so an interrupted epoch can be
  // planned again from the state at its start.
  //
  // As in the reference the first batch of an epoch is cut from the order of the epoch before: its loader fetches that
  // batch before it announces the epoch.
  std::vector<BatchPlan> plan_epoch(int64_t epoch, int64_t sampler_seed, PythonRandom& random,
                                    const EpochContext& context = {});

  // Reads what `plan` names. Thread-safe.
  Batch load(const BatchPlan& plan) const;

  // Logs the buckets: how many images, how they were resized and cropped, and a few final captions.
  void log_summary() const;

 private:
  void restart_order();
  void advance_order(PythonRandom& random);
  BatchPlan plan_batch(int64_t index, const CaptionMoment& moment, PythonRandom& random) const;

  DatasetGroupOptions options_;
  std::vector<Dataset> datasets_;
  int64_t num_batches_ = 0;
  uint64_t order_seed_ = 0;
  // The order of epoch `order_epoch_` (0: the order before the first epoch), per dataset.
  int64_t order_epoch_ = 0;
  std::vector<BucketOrder> orders_;
};

}  // namespace difftune
