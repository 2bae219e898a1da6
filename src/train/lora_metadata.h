// What a trained LoRA says about its training: the ss_* and modelspec.* entries that web UIs and model sites read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "families/model_family.h"
#include "options/train_network_options.h"
#include "train/model_spec.h"
#include "weights/tensor_source.h"

namespace difftune {

// A model file as the metadata name it: without its folder, and with its hashes where it exists.
struct ModelFileIdentity {
  std::string name;
  std::optional<std::string> legacy_hash, sha256;
};
// Reads the whole file, which takes seconds: it can be done on another thread while the first steps run.
ModelFileIdentity identify_model_file(const std::string& path);

// What is known of a run beside its options.
struct LoraRunFacts {
  uint64_t session_id = 0;  // random below 2^32, the same for all files of a run
  double started_at = 0;    // seconds since 1970
  int64_t seed = 0;         // --seed, or what was drawn without it
  int64_t num_epochs = 0;
  int64_t max_train_steps = 0;  // after --max_train_epochs
  int64_t num_batches_per_epoch = 0;
  int64_t num_validation_images = 0;
  int64_t num_processes = 1;
  std::string optimizer;               // Optimizer::description()
  bool optimizer_sets_own_lr = false;  // Optimizer::sets_own_lr()
  ModelFileIdentity model;
  std::optional<ModelFileIdentity> vae;  // of --vae
};

// Values are Python's str() of the reference's; the entries are those of its train_network.py, all of them or, with
// --no_metadata, the few that loading needs.
class LoraMetadata {
 public:
  // `dataset` is that of data/dataset_metadata.h; a thumbnail is embedded in `options` already (embed_thumbnail()).
  LoraMetadata(const TrainNetworkOptions& options, const FamilyInfo& family, const Metadata& dataset,
               const LoraRunFacts& facts, const TrainCommand& command = train_command("train_network"));

  // The entries of a file saved at `now` (seconds since 1970), to which lora_hashes() is still to be added. `epoch` is
  // the number of complete epochs, `step` that of optimizer steps.
  Metadata at_save(int64_t epoch, int64_t step, double now) const;

 private:
  bool is_minimal_;
  ModelSpec spec_;
  Metadata entries_;
};

}  // namespace difftune
