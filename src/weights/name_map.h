// Names of tensors as data: the model's own paths on one side, a checkpoint's keys on the other.
//
// A rule pairs two templates, for example
//   model       down_blocks.0.attentions.{}.*
//   checkpoint  input_blocks.{}.1.*
// where "{}" stands for one decimal index and a "*" at the end for the rest of the name (at least one character).
// Both sides have the same wildcards in the same order. Rules are written out per block by a loop over the model's
// structure, so that a map needs no arithmetic inside a template and can be read in both directions.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "weights/tensor_source.h"

namespace difftune {

// How a checkpoint's tensor becomes the model's. Each has an inverse, used for saving.
struct Transform {
  enum class Kind {
    none,
    squeeze_1x1,    // checkpoint [out, in, 1, 1] (or already [out, in]) -> model [out, in]
    unsqueeze_1x1,  // checkpoint [out, in] (or already 4-D) -> model [out, in, 1, 1]
    transpose,      // checkpoint [a, b] -> model [b, a]
    part,           // checkpoint [n * k, ...] -> the model's k rows number `part` of n, e.g. fused q, k, v
    swap_halves,    // checkpoint [a; b] along the first dimension -> model [b; a], e.g. shift and scale
  };
  Kind kind = Kind::none;
  int part = 0, num_parts = 1;
  int span = 1;  // parts that are one tensor in the model, from `part` on

  static Transform squeeze_1x1() { return {Kind::squeeze_1x1}; }
  static Transform unsqueeze_1x1() { return {Kind::unsqueeze_1x1}; }
  static Transform transpose() { return {Kind::transpose}; }
  static Transform rows(int part, int num_parts, int span = 1) { return {Kind::part, part, num_parts, span}; }
  static Transform swap_halves() { return {Kind::swap_halves}; }
  bool operator==(const Transform&) const = default;
};

// A name with literal text, "{}" and a final "*".
class NameTemplate {
 public:
  explicit NameTemplate(std::string_view text);
  // What the wildcards stand for, or nullopt where the name does not fit.
  std::optional<std::vector<std::string_view>> match(std::string_view name) const;
  std::string fill(const std::vector<std::string_view>& wildcards) const;
  size_t num_wildcards() const { return literals_.size() - 1 + (has_rest_ ? 1 : 0); }
  bool has_rest() const { return has_rest_; }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
  std::vector<std::string> literals_;  // the text between the placeholders
  bool has_rest_ = false;
};

class MappedSource;

class NameMap {
 public:
  struct Name {
    std::string name;
    Transform transform;
  };

  // `checkpoint_prefix` begins every key that is this map's business, e.g. "model.diffusion_model."; rules omit it.
  explicit NameMap(std::string checkpoint_prefix = "") : prefix_(std::move(checkpoint_prefix)) {}

  // Where several rules fit a name, the one that was added first counts.
  NameMap& rule(std::string_view model, std::string_view checkpoint, Transform transform = {});
  // A rule for reading only: another spelling of the key that some files have.
  NameMap& alias(std::string_view model, std::string_view checkpoint, Transform transform = {});
  // A rule for keys that are known and of no use, e.g. position_ids.
  NameMap& ignore(std::string_view checkpoint);
  // All rules of `inner` with these texts put before them (its own prefix is left out).
  NameMap& nest(std::string_view model, std::string_view checkpoint, const NameMap& inner);

  // The key that is written for a name of the model, or nullopt where no rule covers it.
  std::optional<Name> to_checkpoint(std::string_view model_name) const;
  // The names that a key gives: none where it is unknown, several for a fused tensor.
  std::vector<Name> to_model(std::string_view key) const;
  // Whether the key lies outside the prefix or is one to ignore.
  bool ignores(std::string_view key) const;

  // A view of the checkpoint under the model's names; tensors are transformed when asked for.
  std::shared_ptr<const MappedSource> to_model(std::shared_ptr<const TensorSource> checkpoint) const;
  // The inverse, for saving: a view of the model's tensors under the checkpoint's keys, fused parts joined.
  // A tensor that no rule covers or an incomplete set of fused parts is a bug in the map, if the tensors are a model's
  // own; those of a file are checked with `require_complete` first.
  std::shared_ptr<const TensorSource> to_checkpoint(std::shared_ptr<const TensorSource> model) const;
  // Throws UserError that names the tensor where a file under the model's names has one that no rule covers, lacks a
  // part of a fused tensor, or has parts whose sizes or dtypes do not go together.
  void require_complete(const TensorSource& model) const;

 private:
  struct Rule {
    enum class Kind { both_ways, reading, ignored } kind;
    NameTemplate model, checkpoint;
    Transform transform;
  };
  NameMap& add(Rule::Kind kind, std::string_view model, std::string_view checkpoint, Transform transform);
  std::optional<std::string_view> without_prefix(std::string_view key) const;

  std::string prefix_;
  std::vector<Rule> rules_;
};

// A checkpoint under the model's names.
class MappedSource : public TensorSource {
 public:
  MappedSource(const NameMap& map, std::shared_ptr<const TensorSource> checkpoint);

  std::vector<std::string> keys() const override { return names_; }
  bool contains(const std::string& name) const override { return places_.contains(name); }
  TensorInfo info(const std::string& name) const override;
  at::Tensor tensor(const std::string& name) const override;
  void drop_pages(const std::string& name) const override;
  const fs::path& path() const override { return checkpoint_->path(); }
  const Metadata& metadata() const override { return checkpoint_->metadata(); }

  // Keys under the map's prefix that no rule covers.
  const std::vector<std::string>& unexpected() const { return unexpected_; }
  // Those of the model's names that the checkpoint lacks, as the keys that were looked for.
  std::vector<std::string> missing(const std::vector<std::string>& model_names) const;
  // The checkpoint's key behind one of the model's names, for messages.
  std::string checkpoint_key(const std::string& name) const;

 private:
  const NameMap::Name& place(const std::string& name) const;

  NameMap map_;
  std::shared_ptr<const TensorSource> checkpoint_;
  std::vector<std::string> names_, unexpected_;
  std::unordered_map<std::string, NameMap::Name> places_;  // model name -> key and transform
};

}  // namespace difftune
