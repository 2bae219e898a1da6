// The options of `difftune train_network`.
#pragma once

#include <vector>

#include "options/groups/augmentation.h"
#include "options/groups/bucket.h"
#include "options/groups/caption.h"
#include "options/groups/compute.h"
#include "options/groups/console.h"
#include "options/groups/dataset.h"
#include "options/groups/distributed.h"
#include "options/groups/huggingface.h"
#include "options/groups/latent_cache.h"
#include "options/groups/loss.h"
#include "options/groups/lr_schedule.h"
#include "options/groups/mask.h"
#include "options/groups/metadata.h"
#include "options/groups/model.h"
#include "options/groups/network.h"
#include "options/groups/noise.h"
#include "options/groups/optimizer.h"
#include "options/groups/output.h"
#include "options/groups/run.h"
#include "options/groups/sample.h"
#include "options/groups/state.h"
#include "options/groups/text.h"
#include "options/groups/tracking.h"
#include "options/groups/training.h"
#include "options/groups/validation.h"
#include "options/option_table.h"

namespace difftune {

struct TrainNetworkOptions {
  ModelOptions model;
  DatasetOptions dataset;
  CaptionOptions caption;
  BucketOptions bucket;
  AugmentationOptions augmentation;
  MaskOptions mask;
  LatentCacheOptions latent_cache;
  TextOptions text;
  NetworkOptions network;
  TrainingOptions training;
  OptimizerOptions optimizer;
  LrScheduleOptions lr_schedule;
  NoiseOptions noise;
  LossOptions loss;
  ComputeOptions compute;
  OutputOptions output;
  MetadataOptions metadata;
  StateOptions state;
  SampleOptions sample;
  ValidationOptions validation;
  TrackingOptions tracking;
  ConsoleOptions console;
  HuggingfaceOptions huggingface;
  DistributedOptions distributed;
  RunOptions run;
};

// All options of the command, bound to `options` (see OptionTable), with what is not available yet marked.
OptionTable describe(TrainNetworkOptions& options);

// Checks the options against each other and settles what follows from them (cache_latents_to_disk turns on
// cache_latents, caption_extention replaces caption_extension, sampling every 0 steps is off). Returns what the user
// should know; throws UsageError where a run cannot mean what was asked.
std::vector<Remark> validate(TrainNetworkOptions& options);

}  // namespace difftune
