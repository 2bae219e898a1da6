#include "adapters/lora_stack.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/linear.h>

#include "adapters/lora.h"
#include "adapters/lora_file.h"

namespace difftune {

class LoraStack::Slot : public nn::LayerAdapter {
 public:
  explicit Slot(std::shared_ptr<const std::vector<double>> multipliers) : multipliers_(std::move(multipliers)) {}

  void add(size_t file, const LoraFactors& factors, const nn::Layer& layer) {
    const auto move = [&](const at::Tensor& factor) { return factor.to(layer.weight.device(), layer.dtype()); };
    parts_.push_back({file, move(factors.down), move(factors.up), factors.scale});
  }

  at::Tensor forward(const nn::Layer& layer, const at::Tensor& input) override {
    at::Tensor output = layer.base_forward(input);
    for (const Part& part : parts_) {
      const double strength = multipliers_->at(part.file) * part.scale;
      if (strength == 0) continue;
      output = output + change(part, layer, input.to(part.down.scalar_type())) * strength;
    }
    return output;
  }

 private:
  struct Part {
    size_t file;
    at::Tensor down, up;
    double scale;
  };

  static at::Tensor change(const Part& part, const nn::Layer& layer, const at::Tensor& input) {
    if (layer.kind() == nn::Layer::Kind::linear) {
      return at::linear(at::linear(input, part.down.flatten(1)), part.up.flatten(1));
    }
    const auto& conv = static_cast<const nn::Conv2d&>(layer);
    const auto kernel = [](const at::Tensor& factor) {
      return factor.dim() == 4 ? factor : factor.unsqueeze(-1).unsqueeze(-1);
    };
    return at::conv2d(at::conv2d(input, kernel(part.down), {}, conv.stride(), conv.padding()), kernel(part.up));
  }

  std::shared_ptr<const std::vector<double>> multipliers_;
  std::vector<Part> parts_;
};

size_t LoraStack::add(std::shared_ptr<const TensorSource> file, double multiplier) {
  files_.push_back(std::move(file));
  multipliers_->push_back(multiplier);
  return files_.size() - 1;
}

void LoraStack::attach(const std::vector<AdapterTarget>& targets) {
  for (size_t number = 0; number < files_.size(); ++number) {
    const TensorSource& file = *files_[number];
    const auto dims = lora_dims(file);
    for (const AdapterTarget& target : targets) {
      const auto found = dims.find(target.name);
      if (found == dims.end() || !target.layer->is_loaded()) continue;
      auto& slot = slots_[target.name];
      // A layer that was read anew has an empty slot.
      if (!slot || target.layer->adapter() != slot.get()) {
        slot = std::make_unique<Slot>(multipliers_);
        target.layer->set_adapter(slot.get());
      }
      static_cast<Slot&>(*slot).add(number, read_lora_factors(file, target, found->second), *target.layer);
    }
  }
}

}  // namespace difftune
