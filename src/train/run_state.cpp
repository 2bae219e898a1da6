#include "train/run_state.h"

#include <nlohmann/json.hpp>

#include <ATen/ops/from_blob.h>

#include "base/error.h"
#include "weights/safetensors.h"

namespace difftune {
namespace {

constexpr const char* kModel = "model.safetensors";
constexpr const char* kOptimizer = "optimizer.safetensors";
constexpr const char* kRandom = "random_states.safetensors";
constexpr const char* kPosition = "train_state.json";

std::vector<NamedTensor> as_list(const OptimizerState& state, const std::string& prefix) {
  std::vector<NamedTensor> list;
  for (const auto& [name, tensor] : state) list.emplace_back(prefix + name, tensor.contiguous());
  return list;
}

OptimizerState with_prefix(const TensorSource& file, const std::string& prefix) {
  OptimizerState state;
  for (const auto& key : file.keys()) {
    if (key.starts_with(prefix)) state[key.substr(prefix.size())] = file.tensor(key).clone();
  }
  return state;
}

nlohmann::json to_json(const RunPosition& position) {
  // current_epoch and current_step are the reference's; its epochs count from 1 once one has begun.
  return {{"current_epoch", position.epoch + 1},
          {"current_step", position.step},
          {"difftune",
           {{"version", 1},
            {"epoch", position.epoch},
            {"batches_done", position.batches_done},
            {"num_batches", position.num_batches},
            {"sampler_seed", position.sampler_seed},
            {"python_random", position.python_random},
            {"losses", position.losses.losses},
            {"loss_total", position.losses.total},
            {"seed", position.seed}}}};
}

RunPosition position_from_json(const fs::path& file) {
  const auto json = nlohmann::json::parse(read_file(file), nullptr, false);
  if (json.is_discarded()) fail("{}: is not JSON: the state is damaged", file.string());
  if (!json.contains("difftune")) {
    fail(
        "{}: the state was saved by sd-scripts, whose optimizer state difftune cannot continue; its weights can be "
        "trained on with --network_weights {}",
        file.string(), (file.parent_path() / kModel).string());
  }
  try {
    const auto& own = json.at("difftune");
    RunPosition position;
    position.step = json.at("current_step").get<int64_t>();
    position.epoch = own.at("epoch").get<int64_t>();
    position.batches_done = own.at("batches_done").get<int64_t>();
    position.num_batches = own.at("num_batches").get<int64_t>();
    position.sampler_seed = own.at("sampler_seed").get<int64_t>();
    position.python_random = own.at("python_random").get<std::vector<uint32_t>>();
    position.losses = {own.at("losses").get<std::vector<double>>(), own.at("loss_total").get<double>()};
    position.seed = own.at("seed").get<int64_t>();
    if (position.python_random.size() != 625 || position.python_random[624] > 624) {
      fail("{}: python_random is no state of the generator: the state is damaged", file.string());
    }
    return position;
  } catch (const nlohmann::json::exception& e) {
    fail("{}: the state is damaged ({})", file.string(), e.what());
  }
}

}  // namespace

void save_run_state(const fs::path& folder, const RunSnapshot& snapshot) {
  write_folder_atomically(folder, [&](const fs::path& fresh) {
    std::vector<NamedTensor> parameters;
    for (const auto& [key, tensor] : snapshot.parameters) parameters.emplace_back(key, tensor.detach().contiguous());
    write_safetensors(fresh / kModel, parameters, Metadata{{"format", "pt"}});

    auto optimizer = as_list(snapshot.optimizer, "optimizer.");
    for (auto& entry : as_list(snapshot.grad_scaler, "grad_scaler.")) optimizer.push_back(std::move(entry));
    write_safetensors(fresh / kOptimizer, optimizer);

    std::vector<NamedTensor> random = {{"cpu", snapshot.random.cpu}};
    for (size_t i = 0; i < snapshot.random.cuda.size(); ++i) {
      random.emplace_back(fmt::format("cuda.{}", i), snapshot.random.cuda[i]);
    }
    write_safetensors(fresh / kRandom, random);
    write_file_atomically(fresh / kPosition, to_json(snapshot.position).dump(2) + "\n");
  });
}

RunSnapshot load_run_state(const fs::path& folder) {
  if (!fs::is_directory(folder)) fail("--resume {}: there is no such folder", folder.string());
  if (!fs::exists(folder / kPosition)) {
    fail("--resume {}: the folder holds no {}: it is not a saved state (those end in -state)", folder.string(),
         kPosition);
  }
  RunSnapshot snapshot;
  snapshot.position = position_from_json(folder / kPosition);
  const SafetensorsFile model(folder / kModel), optimizer(folder / kOptimizer), random(folder / kRandom);
  for (const auto& key : model.keys()) snapshot.parameters.emplace_back(key, model.tensor(key).clone());
  snapshot.optimizer = with_prefix(optimizer, "optimizer.");
  snapshot.grad_scaler = with_prefix(optimizer, "grad_scaler.");
  snapshot.random.cpu = random.tensor("cpu").clone();
  for (size_t i = 0; random.contains(fmt::format("cuda.{}", i)); ++i) {
    snapshot.random.cuda.push_back(random.tensor(fmt::format("cuda.{}", i)).clone());
  }
  return snapshot;
}

}  // namespace difftune
