// The two views that a NameMap gives: a checkpoint under the model's names, and a model under the checkpoint's keys.
#include <ATen/ops/cat.h>

#include <map>
#include <set>

#include "base/error.h"
#include "weights/name_map.h"

namespace difftune {
namespace {

using Kind = Transform::Kind;

bool is_1x1(const std::vector<int64_t>& shape) { return shape.size() == 4 && shape[2] == 1 && shape[3] == 1; }

// The model's shape of a checkpoint's tensor, or nullopt where the transform does not apply to it.
std::optional<std::vector<int64_t>> transformed_shape(const Transform& transform, std::vector<int64_t> shape) {
  switch (transform.kind) {
    case Kind::none:
      return shape;
    case Kind::squeeze_1x1:
      if (is_1x1(shape)) shape.resize(2);
      return shape.size() == 2 ? std::optional(shape) : std::nullopt;
    case Kind::unsqueeze_1x1:
      if (shape.size() == 2) shape.insert(shape.end(), {1, 1});
      return is_1x1(shape) ? std::optional(shape) : std::nullopt;
    case Kind::transpose:
      if (shape.size() != 2) return std::nullopt;
      std::swap(shape[0], shape[1]);
      return shape;
    case Kind::part:
      if (shape.empty() || shape[0] % transform.num_parts != 0) return std::nullopt;
      shape[0] = shape[0] / transform.num_parts * transform.span;
      return shape;
    case Kind::swap_halves:
      return !shape.empty() && shape[0] % 2 == 0 ? std::optional(shape) : std::nullopt;
  }
  return std::nullopt;
}

at::Tensor forward(const Transform& transform, const at::Tensor& tensor) {
  switch (transform.kind) {
    case Kind::none:
      break;
    case Kind::squeeze_1x1:
      return tensor.dim() == 4 ? tensor.flatten(1) : tensor;
    case Kind::unsqueeze_1x1:
      return tensor.dim() == 2 ? tensor.unsqueeze(2).unsqueeze(3) : tensor;
    case Kind::transpose:
      return tensor.t();
    case Kind::part: {
      const int64_t rows = tensor.size(0) / transform.num_parts;
      return tensor.narrow(0, transform.part * rows, transform.span * rows);
    }
    case Kind::swap_halves: {
      const int64_t rows = tensor.size(0) / 2;
      return at::cat({tensor.narrow(0, rows, rows), tensor.narrow(0, 0, rows)});
    }
  }
  return tensor;
}

Transform inverse(const Transform& transform) {
  switch (transform.kind) {
    case Kind::squeeze_1x1:
      return Transform::unsqueeze_1x1();
    case Kind::unsqueeze_1x1:
      return Transform::squeeze_1x1();
    default:
      return transform;  // none, transpose and swap_halves are their own; parts are joined by the caller
  }
}

// A model's tensors under the checkpoint's keys.
class UnmappedSource : public TensorSource {
 public:
  UnmappedSource(const NameMap& map, std::shared_ptr<const TensorSource> model) : model_(std::move(model)) {
    for (std::string& name : model_->keys()) {
      auto target = map.to_checkpoint(name);
      DT_CHECK(target, "no rule of the name map covers '{}'", name);
      const Transform transform = target->transform;
      auto [place, is_new] = places_.try_emplace(target->name);
      if (is_new) {
        keys_.push_back(target->name);
        place->second.transform = inverse(transform);
        place->second.num_missing = transform.num_parts;
      }
      const bool is_free = place->second.parts.try_emplace(transform.part, std::move(name)).second;
      DT_CHECK(is_free, "two tensors go to '{}'", target->name);
      place->second.num_missing -= transform.span;
    }
    for (auto& [key, place] : places_) {
      DT_CHECK(place.num_missing == 0, "'{}' lacks one of its parts", key);
      for (auto& [part, name] : place.parts) place.names.push_back(std::move(name));
      place.parts.clear();
    }
  }

  std::vector<std::string> keys() const override { return keys_; }
  bool contains(const std::string& key) const override { return places_.contains(key); }

  TensorInfo info(const std::string& key) const override {
    const Place& p = place(key);
    TensorInfo result = model_->info(p.names[0]);
    if (p.names.size() == 1) {
      const auto shape = transformed_shape(p.transform, result.shape);
      DT_CHECK(shape, "'{}' is {}", p.names[0], describe(result));
      result.shape = *shape;
      return result;
    }
    for (size_t i = 1; i < p.names.size(); ++i) {
      const TensorInfo part = model_->info(p.names[i]);
      result.shape[0] += part.shape[0];
      result.num_bytes += part.num_bytes;
    }
    return result;
  }

  at::Tensor tensor(const std::string& key) const override {
    const Place& p = place(key);
    if (p.names.size() == 1) return forward(p.transform, model_->tensor(p.names[0]));
    std::vector<at::Tensor> parts;
    for (const std::string& name : p.names) parts.push_back(model_->tensor(name));
    return at::cat(parts);
  }

  void drop_pages(const std::string& key) const override {
    for (const std::string& name : place(key).names) model_->drop_pages(name);
  }
  const fs::path& path() const override { return model_->path(); }
  const Metadata& metadata() const override { return model_->metadata(); }

 private:
  struct Place {
    Transform transform;
    std::map<int, std::string> parts;  // while they are gathered
    int num_missing = 1;
    std::vector<std::string> names;  // the model's; several are joined along the first dimension
  };
  const Place& place(const std::string& key) const {
    const auto found = places_.find(key);
    if (found == places_.end()) fail_missing_key(*this, key);
    return found->second;
  }

  std::shared_ptr<const TensorSource> model_;
  std::vector<std::string> keys_;
  std::unordered_map<std::string, Place> places_;
};

}  // namespace

std::shared_ptr<const TensorSource> NameMap::to_checkpoint(std::shared_ptr<const TensorSource> model) const {
  return std::make_shared<UnmappedSource>(*this, std::move(model));
}

void NameMap::require_complete(const TensorSource& model) const {
  struct Fused {
    std::set<int> parts;
    std::string first_name;
    TensorInfo first;
    int first_span = 1, num_missing = 0;
  };
  std::map<std::string, Fused> fused;
  for (const std::string& name : model.keys()) {
    const auto target = to_checkpoint(name);
    if (!target) fail("{}: tensor '{}' has no place in the other layout", model.path().string(), name);
    const Transform& transform = target->transform;
    const TensorInfo info = model.info(name);
    if (transform.kind != Kind::part) {
      if (!transformed_shape(inverse(transform), info.shape)) {
        fail("{}: tensor '{}' is {}, which does not fit '{}' of the other layout", model.path().string(), name,
             describe(info), target->name);
      }
      continue;
    }
    const auto [place, is_new] = fused.try_emplace(target->name);
    Fused& whole = place->second;
    if (is_new) whole = {{}, name, info, transform.span, transform.num_parts};
    for (int part = 0; part < transform.span; ++part) whole.parts.insert(transform.part + part);
    whole.num_missing -= transform.span;
    auto expected = whole.first.shape, found = info.shape;
    if (!expected.empty() && !found.empty()) {
      expected[0] *= transform.span;
      found[0] *= whole.first_span;
    }
    if (info.dtype != whole.first.dtype || found != expected) {
      fail("{}: tensors '{}' ({}) and '{}' ({}) do not fit together as parts of '{}'", model.path().string(),
           whole.first_name, describe(whole.first), name, describe(info), target->name);
    }
  }
  for (const auto& [key, whole] : fused) {
    if (whole.num_missing == 0) continue;
    for (const Name& name : to_model(key)) {
      if (whole.parts.contains(name.transform.part)) continue;
      fail("{}: tensor '{}' is missing, a part of '{}' like '{}'", model.path().string(), name.name, key,
           whole.first_name);
    }
  }
}

MappedSource::MappedSource(const NameMap& map, std::shared_ptr<const TensorSource> checkpoint)
    : map_(map), checkpoint_(std::move(checkpoint)) {
  for (const std::string& key : checkpoint_->keys()) {
    const std::vector<NameMap::Name> names = map.to_model(key);
    if (names.empty() && !map.ignores(key)) unexpected_.push_back(key);
    for (const NameMap::Name& name : names) {
      const auto [place, is_new] = places_.try_emplace(name.name, NameMap::Name{key, name.transform});
      if (is_new) {
        names_.push_back(name.name);
        continue;
      }
      // The file spells one tensor in two ways: the proper one counts.
      const bool is_proper = map.to_checkpoint(name.name)->name == key;
      unexpected_.push_back(is_proper ? place->second.name : key);
      if (is_proper) place->second = {key, name.transform};
    }
  }
}

const NameMap::Name& MappedSource::place(const std::string& name) const {
  const auto found = places_.find(name);
  if (found == places_.end()) {
    const auto wanted = map_.to_checkpoint(name);
    DT_CHECK(wanted, "no rule of the name map covers '{}'", name);
    fail_missing_key(*checkpoint_, wanted->name);
  }
  return found->second;
}

TensorInfo MappedSource::info(const std::string& name) const {
  const auto& [key, transform] = place(name);
  TensorInfo result = checkpoint_->info(key);
  auto shape = transformed_shape(transform, result.shape);
  if (!shape) {
    fail("{}: tensor '{}' is {}, which does not fit the model's '{}'; the file is of another architecture",
         path().string(), key, describe(result), name);
  }
  result.shape = std::move(*shape);
  result.num_bytes = result.num_bytes / transform.num_parts * transform.span;
  return result;
}

at::Tensor MappedSource::tensor(const std::string& name) const {
  info(name);  // throws where the transform does not apply
  const auto& [key, transform] = place(name);
  return forward(transform, checkpoint_->tensor(key));
}

void MappedSource::drop_pages(const std::string& name) const { checkpoint_->drop_pages(place(name).name); }

std::vector<std::string> MappedSource::missing(const std::vector<std::string>& model_names) const {
  std::vector<std::string> keys;
  for (const std::string& name : model_names) {
    if (!contains(name)) keys.push_back(checkpoint_key(name));
  }
  return keys;
}

std::string MappedSource::checkpoint_key(const std::string& name) const {
  if (const auto found = places_.find(name); found != places_.end()) return found->second.name;
  const auto wanted = map_.to_checkpoint(name);
  return wanted ? wanted->name : name;
}

}  // namespace difftune
