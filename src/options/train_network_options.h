// The options of `difftune train_network` and of the commands of other families that train a LoRA (train_commands.h):
// one struct, of which each command declares the groups it has.
#pragma once

#include <vector>

#include "options/groups/augmentation.h"
#include "options/groups/bucket.h"
#include "options/groups/caption.h"
#include "options/groups/compute.h"
#include "options/groups/console.h"
#include "options/groups/dataset.h"
#include "options/groups/distributed.h"
#include "options/groups/flow.h"
#include "options/groups/huggingface.h"
#include "options/groups/latent_cache.h"
#include "options/groups/loading.h"
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
#include "options/groups/text_cache.h"
#include "options/groups/tracking.h"
#include "options/groups/training.h"
#include "options/groups/transformer.h"
#include "options/groups/validation.h"
#include "options/option_table.h"
#include "options/train_commands.h"

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

  // Beyond train_network.
  TextCacheOptions text_cache;
  LoadingOptions loading;
  FlowOptions flow;
  TransformerOptions transformer;
};

// All options of `command`, bound to `options` (see OptionTable), with what is not available yet marked.
OptionTable describe(TrainNetworkOptions& options, const TrainCommand& command = train_command("train_network"));

// Checks the options against each other and settles what follows from them (a cache on disk turns the cache on,
// caption_extention replaces caption_extension, sampling every 0 steps is off). Returns what the user should know;
// throws UsageError where a run cannot mean what was asked.
std::vector<Remark> validate(TrainNetworkOptions& options,
                             const TrainCommand& command = train_command("train_network"));

}  // namespace difftune
