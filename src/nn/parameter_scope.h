// Where a module finds its parameters: a path ("down_blocks.0.resnets.1") in a source of named tensors.
//
// A module's constructor takes a scope and reads each parameter once; the path of the scope is the module's name in the
// checkpoint layout that the model is written in. The same constructor loads a checkpoint or initialises a new model,
// depending on the reader behind the scope.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace difftune::nn {

class Layer;

// How a parameter starts in a model that is trained from nothing; the fan-in rule is LibTorch's own default.
enum class Init { uniform_fan_in, normal_002, zeros, ones };

// Gives parameters by path.
class ParameterReader {
 public:
  virtual ~ParameterReader() = default;
  // The parameter with this shape, in the dtype and on the device that the model runs in. `fan_in` is used by
  // Init::uniform_fan_in. Throws UserError where a checkpoint lacks it or has another shape.
  virtual at::Tensor read(const std::string& path, at::IntArrayRef shape, Init init, int64_t fan_in) = 0;
  // The dtype that the model computes in; single tensors may be stored in a smaller one.
  virtual c10::ScalarType dtype() const { return c10::kFloat; }
};

struct NamedParameter {
  std::string path;
  at::Tensor* tensor;  // a member of the module that owns it
};

// What a model consists of, in construction order: all parameters, and the layers that an adapter can sit on.
struct ModelIndex {
  std::vector<NamedParameter> parameters;
  std::vector<Layer*> layers;

  // Null where there is no such layer.
  Layer* find_layer(std::string_view path) const;
};

class ParameterScope {
 public:
  ParameterScope(ParameterReader& reader, ModelIndex& index) : reader_(&reader), index_(&index) {}

  ParameterScope operator/(std::string_view name) const;
  ParameterScope operator/(size_t number) const { return *this / std::to_string(number); }

  const std::string& path() const { return path_; }
  ModelIndex& index() const { return *index_; }
  c10::ScalarType dtype() const { return reader_->dtype(); }

  // Reads "<path>.<name>" into `parameter` and lists it in the index.
  void read(at::Tensor& parameter, std::string_view name, at::IntArrayRef shape, Init init, int64_t fan_in = 1) const;

 private:
  ParameterReader* reader_;
  ModelIndex* index_;
  std::string path_;
};

// New parameters, drawn from `generator` in construction order.
std::unique_ptr<ParameterReader> make_initializer(at::Generator generator, c10::ScalarType dtype);

// Parameters that have a shape and no values: for a model of which only the structure is of interest.
std::unique_ptr<ParameterReader> make_shape_reader();

}  // namespace difftune::nn
