#include "train/output_names.h"

#include <gtest/gtest.h>

#include <vector>

namespace difftune {
namespace {

OutputOptions named(std::optional<std::string> name) {
  OutputOptions output;
  output.output_dir = "out";
  output.output_name = std::move(name);
  return output;
}

std::vector<int64_t> epochs_saved(const OutputOptions& output, int64_t num_epochs) {
  const OutputNames names(output, {}, num_epochs);
  std::vector<int64_t> saved;
  for (int64_t epoch = 1; epoch <= num_epochs; ++epoch) {
    if (names.saves_epoch(epoch)) saved.push_back(epoch);
  }
  return saved;
}

TEST(OutputNames, OfFilesAndStates) {
  const OutputNames names(named("cat"), {}, 10);
  EXPECT_EQ(names.epoch_file(2), "out/cat-000002.safetensors");
  EXPECT_EQ(names.step_file(100), "out/cat-step00000100.safetensors");
  EXPECT_EQ(names.last_file(), "out/cat.safetensors");
  EXPECT_EQ(names.epoch_state(2), "out/cat-000002-state");
  EXPECT_EQ(names.step_state(100), "out/cat-step00000100-state");
  EXPECT_EQ(names.last_state(), "out/cat-state");
}

TEST(OutputNames, WithoutAName) {
  const OutputNames names(named(std::nullopt), {}, 10);
  EXPECT_EQ(names.epoch_file(2), "out/epoch-000002.safetensors");
  EXPECT_EQ(names.step_file(100), "out/at-step00000100.safetensors");
  EXPECT_EQ(names.last_file(), "out/last.safetensors");
  EXPECT_EQ(names.last_state(), "out/last-state");
}

TEST(OutputNames, EveryNEpochsButNotTheLastOne) {
  OutputOptions output = named("cat");
  EXPECT_EQ(epochs_saved(output, 6), std::vector<int64_t>{});
  output.save_every_n_epochs = 2;
  EXPECT_EQ(epochs_saved(output, 6), (std::vector<int64_t>{2, 4}));
}

TEST(OutputNames, EpochRatioIsSavesPerRun) {
  OutputOptions output = named("cat");
  output.save_n_epoch_ratio = 3;
  EXPECT_EQ(epochs_saved(output, 10), (std::vector<int64_t>{3, 6, 9}));
  EXPECT_EQ(epochs_saved(output, 2), std::vector<int64_t>{1});  // never less than every epoch
  output.save_n_epoch_ratio = 0;
  EXPECT_EQ(epochs_saved(output, 10), std::vector<int64_t>{});
}

TEST(OutputNames, EveryNSteps) {
  OutputOptions output = named("cat");
  EXPECT_FALSE(OutputNames(output, {}, 1).saves_step(10));
  output.save_every_n_steps = 10;
  const OutputNames names(output, {}, 1);
  EXPECT_FALSE(names.saves_step(0));
  EXPECT_FALSE(names.saves_step(15));
  EXPECT_TRUE(names.saves_step(20));
}

TEST(OutputNames, OutdatedEpoch) {
  OutputOptions output = named("cat");
  output.save_every_n_epochs = 2;
  EXPECT_EQ(OutputNames(output, {}, 20).outdated_epoch_file(8), std::nullopt);
  output.save_last_n_epochs = 3;
  const OutputNames names(output, {}, 20);
  EXPECT_EQ(names.outdated_epoch_file(6), std::nullopt);
  EXPECT_EQ(names.outdated_epoch_file(8), names.epoch_file(2));
  EXPECT_EQ(names.outdated_epoch_state(8), names.epoch_state(2));
}

TEST(OutputNames, OutdatedStep) {
  OutputOptions output = named("cat");
  output.save_every_n_steps = 10;
  output.save_last_n_steps = 30;
  const OutputNames names(output, {}, 1);
  EXPECT_EQ(names.outdated_step_file(40), std::nullopt);
  EXPECT_EQ(names.outdated_step_file(50), names.step_file(10));
  EXPECT_EQ(names.outdated_step_file(60), names.step_file(20));
  EXPECT_EQ(names.outdated_step_state(50), names.step_state(10));
}

TEST(OutputNames, StatesCanBeKeptFewerThanWeights) {
  OutputOptions output = named("cat");
  output.save_every_n_epochs = 1;
  output.save_every_n_steps = 10;
  StateOptions state;
  state.save_last_n_epochs_state = 1;
  state.save_last_n_steps_state = 10;
  const OutputNames names(output, state, 20);
  EXPECT_EQ(names.outdated_epoch_file(5), std::nullopt);
  EXPECT_EQ(names.outdated_epoch_state(5), names.epoch_state(4));
  EXPECT_EQ(names.outdated_step_file(50), std::nullopt);
  EXPECT_EQ(names.outdated_step_state(50), names.step_state(30));
}

TEST(OutputNames, SavedStates) {
  StateOptions state;
  EXPECT_FALSE(OutputNames(named("cat"), state, 1).saves_last_state());
  state.save_state_on_train_end = true;
  EXPECT_FALSE(OutputNames(named("cat"), state, 1).saves_states());
  EXPECT_TRUE(OutputNames(named("cat"), state, 1).saves_last_state());
}

}  // namespace
}  // namespace difftune
