#include "data/dataset_group.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/randperm.h>

#include <algorithm>

#include "data/captions.h"
#include "data/dataset_builder.h"

namespace difftune {

DatasetGroup::DatasetGroup(std::vector<DatasetConfig> configs, const DatasetGroupOptions& options)
    : options_(options),
      datasets_(build_datasets(std::move(configs), {options.cache_latents, options.reference_quirks})),
      order_seed_(static_cast<uint64_t>(PythonRandom(options.seed).randint(0, int64_t{1} << 31))) {
  restart_order();
  for (const auto& order : orders_) num_batches_ += static_cast<int64_t>(order.batches.size());
}

int64_t DatasetGroup::num_train_images() const {
  int64_t sum = 0;
  for (const auto& dataset : datasets_) sum += dataset.num_train_images;
  return sum;
}

int64_t DatasetGroup::num_reg_images() const {
  int64_t sum = 0;
  for (const auto& dataset : datasets_) sum += dataset.num_reg_images;
  return sum;
}

// The order before the first epoch is shuffled with seed 0 whatever --seed is, because the reference makes its buckets
// before it tells the datasets their seed.
void DatasetGroup::restart_order() {
  orders_.clear();
  for (const auto& dataset : datasets_) {
    PythonRandom random(0);
    orders_.push_back(dataset.unshuffled_order());
    orders_.back().shuffle(random);
  }
  order_epoch_ = 0;
}

// Every dataset seeds the generator anew with the same value, so the last one's shuffle decides its state.
void DatasetGroup::advance_order(PythonRandom& random) {
  ++order_epoch_;
  for (auto& order : orders_) {
    random.seed(order_seed_ + static_cast<uint64_t>(order_epoch_));
    order.shuffle(random);
  }
}

namespace {

std::vector<int64_t> permutation(int64_t n, int64_t sampler_seed) {
  auto generator = at::make_generator<at::CPUGeneratorImpl>(static_cast<uint64_t>(sampler_seed));
  const at::Tensor indices = at::randperm(n, generator, at::TensorOptions().dtype(at::kLong));
  return {indices.const_data_ptr<int64_t>(), indices.const_data_ptr<int64_t>() + n};
}

// Optimizer steps done, as the dataset knows it when batch `index` of an epoch is fetched. The loader is one batch
// ahead of the training step, and the dataset learns the step when the batch before is collated: three steps behind.
int64_t step_at_fetch(int64_t epoch, int64_t index, int64_t num_batches, int64_t accumulation) {
  const int64_t steps_per_epoch = (num_batches + accumulation - 1) / accumulation;
  const auto steps_before = [&](int64_t e, int64_t batch) { return e * steps_per_epoch + batch / accumulation; };
  if (index >= 3) return steps_before(epoch, index - 3);
  if (epoch == 0) return 0;
  if (index > 0) return steps_before(epoch - 1, num_batches - 1);
  if (num_batches >= 3) return steps_before(epoch - 1, num_batches - 3);
  return epoch == 1 ? 0 : steps_before(epoch - 2, num_batches - 1);
}

// The draws of one sample in the reference's order: flip, window, caption.
SamplePlan draw_sample(const Dataset& dataset, uint32_t image_index, bool is_cached, const CaptionMoment& moment,
                       PythonRandom& random) {
  const ImageRecord& image = dataset.images[image_index];
  const SubsetConfig& subset = dataset.subset_of(image);
  SamplePlan plan;
  plan.image = image_index;
  plan.loss_weight = subset.is_reg ? static_cast<float>(dataset.config.prior_loss_weight) : 1.0f;
  plan.flip = subset.flip_aug && random.random() < 0.5;
  if (!is_cached) {
    const auto place = [&](int image_px, int bucket_px) {
      const int trim = image_px - bucket_px;
      if (trim <= 0) return 0;
      return subset.random_crop ? static_cast<int>(random.randint(0, trim)) : trim / 2;
    };
    if (dataset.config.enable_bucket) {
      plan.crop_x = place(image.resized.width, image.bucket.width);
      plan.crop_y = place(image.resized.height, image.bucket.height);
    } else {
      plan.crop_y = place(image.resized.height, image.bucket.height);
      plan.crop_x = place(image.resized.width, image.bucket.width);
    }
  }
  plan.caption = process_caption(image.caption, subset, moment, random);
  return plan;
}

}  // namespace

BatchPlan DatasetGroup::plan_batch(int64_t index, const CaptionMoment& moment, PythonRandom& random) const {
  int d = 0;
  while (index >= static_cast<int64_t>(orders_[d].batches.size())) {
    index -= static_cast<int64_t>(orders_[d++].batches.size());
  }
  const Dataset& dataset = datasets_[d];
  const auto [bucket, batch] = orders_[d].batches[static_cast<size_t>(index)];
  const auto& images = orders_[d].buckets[bucket];
  const auto batch_size = static_cast<size_t>(dataset.config.batch_size);
  BatchPlan plan{.dataset = d, .resolution = dataset.bucket_resolutions[bucket], .samples = {}, .step_draws = {}};
  const size_t first = batch * batch_size;
  for (size_t i = first; i < std::min(first + batch_size, images.size()); ++i) {
    plan.samples.push_back(draw_sample(dataset, images[i], options_.cache_latents, moment, random));
  }
  return plan;
}

std::vector<BatchPlan> DatasetGroup::plan_epoch(int64_t epoch, int64_t sampler_seed, PythonRandom& random,
                                                const EpochContext& context) {
  if (order_epoch_ > epoch) restart_order();
  for (PythonRandom replay; order_epoch_ < epoch;) advance_order(replay);

  const auto indices = permutation(num_batches_, sampler_seed);
  std::vector<BatchPlan> plans;
  plans.reserve(indices.size());
  for (int64_t i = 0; i < num_batches_; ++i) {
    const int64_t step = step_at_fetch(epoch, i, num_batches_, context.gradient_accumulation_steps);
    plans.push_back(plan_batch(indices[static_cast<size_t>(i)], {order_epoch_, step, context.max_train_steps}, random));
    if (i == 0) advance_order(random);
    if (context.step_draws && i > 0) context.step_draws(plans[static_cast<size_t>(i - 1)], random);
  }
  if (context.step_draws && !plans.empty()) context.step_draws(plans.back(), random);
  return plans;
}

}  // namespace difftune
