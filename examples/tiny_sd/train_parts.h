// The two trainings that make tiny-sd, and the averaged weights that both end with.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "optim/lr_scheduler.h"
#include "optim/optimizer.h"
#include "tiny_sd/tiny_model.h"

namespace difftune::tiny {

struct TrainSettings {
  int64_t num_steps = 0;
  int64_t batch_size = 0;
  double learning_rate = 0;
  uint64_t seed = 0;
  // Of the learning rate, after a short warm-up.
  std::string schedule = "cosine";
  // Called with the averaged weights in place after every `save_every` steps.
  std::function<void()> save = [] {};
  int64_t save_every = 500;
};

// Makes the 1x1 convolutions around the latents take up their mean and spread, so that latents x 0.18215 have mean 0
// and variance 1 per channel over pictures of the grammar, as the U-Net wants them.
void scale_latents(TinyModel& model, uint64_t seed);

// Trains the autoencoder's way back (L1 + L2), mostly with pictures from the grammar, the rest clutter. Latents stay
// what they are, so a U-Net that was trained on them still fits.
void train_decoder(TinyModel& model, const TrainSettings& settings);

// Trains the U-Net to predict the noise in the latents of captioned pictures; one caption in ten is left empty, for
// guidance. The text encoder stays as it is.
void train_denoiser(TinyModel& model, const TrainSettings& settings);

// Parameters with what a step needs: AdamW, a cosine schedule after a warm-up, clipped gradients, and an exponential
// moving average that the parameters take over at the end.
class AveragedAdamW {
 public:
  AveragedAdamW(std::vector<at::Tensor> parameters, const TrainSettings& settings);
  // Backward from `loss`, one update, and now and then settings.save.
  void step(const at::Tensor& loss);
  // The averages into the parameters, which then need no gradient any more.
  void finish();

 private:
  void save();

  std::vector<at::Tensor> parameters_, averages_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<LrScheduler> scheduler_;
  TrainSettings settings_;
  int64_t num_steps_ = 0;
};

}  // namespace difftune::tiny
