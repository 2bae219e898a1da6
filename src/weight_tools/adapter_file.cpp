#include "weight_tools/adapter_file.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <unordered_map>

#include "base/error.h"
#include "weights/open_weights.h"

namespace difftune {
namespace {

struct Suffix {
  std::string_view text;
  AdapterPart part;
};
// The endings of keys: sd-scripts and ComfyUI, PEFT, old Diffusers, LyCORIS.
constexpr std::array kSuffixes = {
    Suffix{".lora_down.weight", AdapterPart::down},
    Suffix{".lora_up.weight", AdapterPart::up},
    Suffix{".lora_mid.weight", AdapterPart::mid},
    Suffix{".alpha", AdapterPart::alpha},
    Suffix{".dora_scale", AdapterPart::magnitude},
    Suffix{".lora_A.weight", AdapterPart::down},
    Suffix{".lora_B.weight", AdapterPart::up},
    Suffix{".lora_A.default.weight", AdapterPart::down},
    Suffix{".lora_B.default.weight", AdapterPart::up},
    Suffix{".lora_magnitude_vector", AdapterPart::magnitude},
    Suffix{".lora_magnitude_vector.weight", AdapterPart::magnitude},
    Suffix{".lora_magnitude_vector.default.weight", AdapterPart::magnitude},
    Suffix{".lora.down.weight", AdapterPart::down},
    Suffix{".lora.up.weight", AdapterPart::up},
    Suffix{".lora_linear_layer.down.weight", AdapterPart::down},
    Suffix{".lora_linear_layer.up.weight", AdapterPart::up},
    Suffix{"_lora.down.weight", AdapterPart::down},
    Suffix{"_lora.up.weight", AdapterPart::up},
    Suffix{".down.weight", AdapterPart::down},
    Suffix{".up.weight", AdapterPart::up},
    Suffix{".down", AdapterPart::down},  // ControlLoRA
    Suffix{".up", AdapterPart::up},
    Suffix{".hada_w1_a", AdapterPart::hada_w1_a},
    Suffix{".hada_w1_b", AdapterPart::hada_w1_b},
    Suffix{".hada_w2_a", AdapterPart::hada_w2_a},
    Suffix{".hada_w2_b", AdapterPart::hada_w2_b},
    Suffix{".hada_t1", AdapterPart::hada_t1},
    Suffix{".hada_t2", AdapterPart::hada_t2},
    Suffix{".lokr_w1", AdapterPart::lokr_w1},
    Suffix{".lokr_w1_a", AdapterPart::lokr_w1_a},
    Suffix{".lokr_w1_b", AdapterPart::lokr_w1_b},
    Suffix{".lokr_w2", AdapterPart::lokr_w2},
    Suffix{".lokr_w2_a", AdapterPart::lokr_w2_a},
    Suffix{".lokr_w2_b", AdapterPart::lokr_w2_b},
    Suffix{".lokr_t2", AdapterPart::lokr_t2},
    Suffix{".oft_blocks", AdapterPart::oft_blocks},
    Suffix{".diff", AdapterPart::full},
};

bool has_either(const AdapterModule& module, AdapterPart whole, AdapterPart a, AdapterPart b) {
  return module.has(whole) || (module.has(a) && module.has(b));
}

}  // namespace

std::string_view adapter_kind_name(AdapterKind kind) {
  switch (kind) {
    case AdapterKind::lora:
      return "LoRA";
    case AdapterKind::loha:
      return "LoHa";
    case AdapterKind::lokr:
      return "LoKr";
    case AdapterKind::oft:
      return "OFT";
    case AdapterKind::full:
      return "full difference";
  }
  return "";
}

AdapterFile::AdapterFile(const fs::path& path) : source_(open_weights(path)) {
  std::unordered_map<std::string, size_t> index;
  for (const std::string& key : source_->keys()) {
    const auto suffix = std::find_if(kSuffixes.begin(), kSuffixes.end(),
                                     [&](const Suffix& s) { return std::string_view(key).ends_with(s.text); });
    if (suffix == kSuffixes.end()) {
      other_keys_.push_back(key);
      continue;
    }
    std::string name = key.substr(0, key.size() - suffix->text.size());
    const auto [place, is_new] = index.try_emplace(name, modules_.size());
    if (is_new) modules_.emplace_back().name = std::move(name);
    modules_[place->second].keys[static_cast<size_t>(suffix->part)] = key;
  }
  // An alpha alone is left over from a module that another tool took out.
  std::erase_if(modules_, [&](const AdapterModule& module) {
    const auto num_parts =
        std::count_if(module.keys.begin(), module.keys.end(), [](const auto& k) { return !k.empty(); });
    const bool is_alpha_only = num_parts == 1 && module.has(AdapterPart::alpha);
    if (is_alpha_only) other_keys_.push_back(module.key(AdapterPart::alpha));
    return is_alpha_only;
  });
  if (modules_.empty()) {
    fail("{}: is no LoRA: none of its {} tensors is a part of one{}", path.string(), source_->keys().size(),
         source_->keys().empty() ? "" : fmt::format(" (the first is {})", source_->keys().front()));
  }
  for (AdapterModule& module : modules_) check_complete(module);
}

void AdapterFile::check_complete(AdapterModule& module) const {
  const auto need = [&](AdapterPart part, std::string_view name) {
    if (module.has(part)) return;
    const auto& some =
        *std::find_if(module.keys.begin(), module.keys.end(), [](const std::string& key) { return !key.empty(); });
    fail("{}: {} has {} and no {}; the file is incomplete", path().string(), module.name, some, name);
  };
  if (module.has(AdapterPart::down) || module.has(AdapterPart::up)) {
    module.kind = AdapterKind::lora;
    need(AdapterPart::down, "lora_down");
    need(AdapterPart::up, "lora_up");
    const auto down = info(module, AdapterPart::down).shape, up = info(module, AdapterPart::up).shape;
    if (down.size() < 2 || up.size() < 2 || down[0] != up[1] || down[0] == 0) {
      fail("{}: {} [{}] and {} [{}] do not fit: the first size of one must be the second of the other", path().string(),
           module.key(AdapterPart::down), fmt::join(down, ", "), module.key(AdapterPart::up), fmt::join(up, ", "));
    }
  } else if (module.has(AdapterPart::hada_w1_a) || module.has(AdapterPart::hada_w1_b)) {
    module.kind = AdapterKind::loha;
    need(AdapterPart::hada_w1_a, "hada_w1_a");
    need(AdapterPart::hada_w1_b, "hada_w1_b");
    need(AdapterPart::hada_w2_a, "hada_w2_a");
    need(AdapterPart::hada_w2_b, "hada_w2_b");
  } else if (module.has(AdapterPart::oft_blocks)) {
    module.kind = AdapterKind::oft;
    const auto shape = info(module, AdapterPart::oft_blocks).shape;
    if (shape.size() != 3 || shape[1] != shape[2]) {
      fail("{}: {} is [{}], expected blocks × size × size", path().string(), module.key(AdapterPart::oft_blocks),
           fmt::join(shape, ", "));
    }
  } else if (module.has(AdapterPart::full)) {
    module.kind = AdapterKind::full;
  } else {
    module.kind = AdapterKind::lokr;
    if (!has_either(module, AdapterPart::lokr_w1, AdapterPart::lokr_w1_a, AdapterPart::lokr_w1_b)) {
      need(AdapterPart::lokr_w1, "lokr_w1");
    }
    if (!has_either(module, AdapterPart::lokr_w2, AdapterPart::lokr_w2_a, AdapterPart::lokr_w2_b)) {
      need(AdapterPart::lokr_w2, "lokr_w2");
    }
  }
}

std::vector<std::string> AdapterFile::module_names() const {
  std::vector<std::string> names;
  for (const AdapterModule& module : modules_) names.push_back(module.name);
  return names;
}

at::Tensor AdapterFile::tensor(const AdapterModule& module, AdapterPart part, c10::ScalarType dtype) const {
  const std::string& key = module.key(part);
  at::Tensor tensor = source_->tensor(key).to(dtype);
  if (!first_non_finite({{key, tensor}}).empty()) {
    fail("{}: {} holds a NaN or an infinity; the training that made it went wrong", path().string(), key);
  }
  return tensor;
}

int64_t AdapterFile::rank(const AdapterModule& module) const {
  switch (module.kind) {
    case AdapterKind::lora:
      return info(module, AdapterPart::down).shape[0];
    case AdapterKind::loha:
      return info(module, AdapterPart::hada_w1_b).shape[0];
    case AdapterKind::lokr:
      // Whole factors are not scaled (LyCORIS).
      if (module.has(AdapterPart::lokr_w2_b)) return info(module, AdapterPart::lokr_w2_b).shape[0];
      return module.has(AdapterPart::lokr_w1_b) ? info(module, AdapterPart::lokr_w1_b).shape[0] : 0;
    case AdapterKind::oft:
      return info(module, AdapterPart::oft_blocks).shape[0];
    case AdapterKind::full:
      return 0;
  }
  return 0;
}

std::optional<double> AdapterFile::alpha(const AdapterModule& module) const {
  if (!module.has(AdapterPart::alpha)) return std::nullopt;
  const at::Tensor alpha = tensor(module, AdapterPart::alpha, at::kFloat);
  if (alpha.numel() != 1) {
    fail("{}: {} has {} values, expected one number", path().string(), module.key(AdapterPart::alpha), alpha.numel());
  }
  return alpha.item<double>();
}

}  // namespace difftune
