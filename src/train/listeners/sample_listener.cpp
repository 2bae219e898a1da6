#include "train/listeners/sample_listener.h"

#include <ATen/core/grad_mode.h>

namespace difftune {

SampleListener::SampleListener(ModelFamily& family, Task& task, const SampleOptions& when,
                               std::vector<SamplePrompt> prompts, std::vector<Conditioning> texts, GenerateOptions how,
                               SampleFiles files)
    : family_(family),
      task_(task),
      when_(when),
      prompts_(std::move(prompts)),
      texts_(std::move(texts)),
      how_(std::move(how)),
      files_(std::move(files)) {}

void SampleListener::on_start(int64_t step) {
  if (step == 0 && when_.sample_at_first) sample(0, std::nullopt);
}

void SampleListener::on_step(int64_t step, int64_t) {
  // Epochs win over steps where both are given.
  if (when_.sample_every_n_epochs || !when_.sample_every_n_steps) return;
  if (step % *when_.sample_every_n_steps == 0) sample(step, std::nullopt);
}

void SampleListener::on_epoch_end(const EpochReport& report) {
  const int64_t epoch = report.epoch + 1;
  if (when_.sample_every_n_epochs && epoch % *when_.sample_every_n_epochs == 0) sample(report.step, epoch);
}

void SampleListener::sample(int64_t step, std::optional<int64_t> epoch) {
  const at::NoGradGuard no_grad;
  files_.step = step;
  files_.epoch = epoch;
  task_.set_training(false);
  // Training with cached latents has no VAE in memory.
  const bool had_vae = family_.is_loaded(Component::vae);
  if (!had_vae) family_.load(Component::vae);
  // Encoders that are still there are trained: what they say changes.
  if (!texts_.empty() && family_.is_loaded(Component::text_encoders)) {
    for (size_t i = 0; i < prompts_.size(); ++i) {
      for (auto& [name, rows] : encode_prompt(family_, prompts_[i])) texts_[i][name] = rows;
    }
  }
  generate_samples(family_, prompts_, how_, files_, texts_);
  if (!had_vae) family_.unload(Component::vae);
  task_.set_training(true);
}

}  // namespace difftune
