#include "nn/parameter_scope.h"

#include <ATen/core/Generator.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/normal.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/uniform.h>
#include <ATen/ops/zeros.h>

#include <cmath>

#include "nn/layer.h"

namespace difftune::nn {
namespace {

class Initializer : public ParameterReader {
 public:
  Initializer(at::Generator generator, c10::ScalarType dtype) : generator_(std::move(generator)), dtype_(dtype) {}

  at::Tensor read(const std::string&, at::IntArrayRef shape, Init init, int64_t fan_in) override {
    switch (init) {
      case Init::zeros:
        return at::zeros(shape, dtype_);
      case Init::ones:
        return at::ones(shape, dtype_);
      case Init::normal_002:
        return at::empty(shape, dtype_).normal_(0, 0.02, generator_);
      case Init::uniform_fan_in: {
        const double bound = 1 / std::sqrt(static_cast<double>(fan_in));
        return at::empty(shape, dtype_).uniform_(-bound, bound, generator_);
      }
    }
    return {};
  }
  c10::ScalarType dtype() const override { return dtype_; }

 private:
  at::Generator generator_;
  c10::ScalarType dtype_;
};

class ShapeReader : public ParameterReader {
 public:
  at::Tensor read(const std::string&, at::IntArrayRef shape, Init, int64_t) override {
    return at::empty(shape, at::TensorOptions(at::kFloat).device(at::kMeta));
  }
  c10::ScalarType dtype() const override { return at::kFloat; }
};

}  // namespace

Layer* ModelIndex::find_layer(std::string_view path) const {
  for (Layer* layer : layers) {
    if (layer->path() == path) return layer;
  }
  return nullptr;
}

ParameterScope ParameterScope::operator/(std::string_view name) const {
  ParameterScope inner = *this;
  if (!inner.path_.empty()) inner.path_ += '.';
  inner.path_ += name;
  return inner;
}

void ParameterScope::read(at::Tensor& parameter, std::string_view name, at::IntArrayRef shape, Init init,
                          int64_t fan_in) const {
  const std::string path = (*this / name).path_;
  parameter = reader_->read(path, shape, init, fan_in);
  index_->parameters.push_back({path, &parameter});
}

std::unique_ptr<ParameterReader> make_initializer(at::Generator generator, c10::ScalarType dtype) {
  return std::make_unique<Initializer>(std::move(generator), dtype);
}

std::unique_ptr<ParameterReader> make_shape_reader() { return std::make_unique<ShapeReader>(); }

}  // namespace difftune::nn
