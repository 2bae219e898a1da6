#include "weight_tools/convert_flux_lora.h"

#include <ATen/ops/all.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/div.h>
#include <ATen/ops/eq.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <map>
#include <optional>

#include "base/error.h"
#include "families/flux/flux_name_map.h"

namespace difftune {
namespace {

constexpr std::string_view kSdPrefix = "lora_unet_", kDiffusersPrefix = "transformer.";
constexpr std::string_view kDown = ".lora_down.weight", kUp = ".lora_up.weight", kAlpha = ".alpha",
                           kA = ".lora_A.weight", kB = ".lora_B.weight";

// A layer of one block and, in ai-toolkit's layout, which of its parts.
struct Place {
  size_t linear = 0, part = 0;
  std::string block;  // "" outside the blocks

  auto operator<=>(const Place&) const = default;
};

std::string fill(const std::string& name, const std::string& block) {
  const NameTemplate pattern(name);
  return pattern.num_wildcards() == 0 ? name : pattern.fill({block});
}

std::string sd_module(const FluxLinear& linear, const std::string& block) {
  std::string name = fill(linear.bfl, block);
  std::replace(name.begin(), name.end(), '.', '_');
  return std::string(kSdPrefix) + name;
}

std::string diffusers_module(const FluxLinear::Part& part, const std::string& block) {
  return std::string(kDiffusersPrefix) + fill(part.diffusers, block);
}

// The names of modules in one of the layouts.
class Modules {
 public:
  enum class Layout { sd_scripts, ai_toolkit };

  explicit Modules(Layout layout) {
    const auto linears = flux_linears();
    for (size_t linear = 0; linear < linears.size(); ++linear) {
      if (layout == Layout::sd_scripts) {
        std::string name = linears[linear].bfl;
        std::replace(name.begin(), name.end(), '.', '_');
        rows_.push_back({NameTemplate(std::string(kSdPrefix) + name), linear, 0});
        continue;
      }
      for (size_t part = 0; part < linears[linear].parts.size(); ++part) {
        const std::string name = std::string(kDiffusersPrefix) + linears[linear].parts[part].diffusers;
        rows_.push_back({NameTemplate(name), linear, part});
      }
    }
  }

  std::optional<Place> find(std::string_view module) const {
    for (const Row& row : rows_) {
      if (const auto wildcards = row.pattern.match(module)) {
        return Place{row.linear, row.part, wildcards->empty() ? "" : std::string(wildcards->front())};
      }
    }
    return std::nullopt;
  }

 private:
  struct Row {
    NameTemplate pattern;
    size_t linear, part;
  };
  std::vector<Row> rows_;
};

// down: [rank, in]; up: [out, rank].
struct Pair {
  at::Tensor down, up, alpha;
};

// The pairs of a file by their places; keys that are none go to `left_out`.
std::map<Place, Pair> read_pairs(const TensorSource& lora, Modules::Layout layout, std::vector<std::string>& left_out) {
  const Modules modules(layout);
  const bool is_sd = layout == Modules::Layout::sd_scripts;
  const std::string_view down = is_sd ? kDown : kA, up = is_sd ? kUp : kB;
  std::map<Place, Pair> pairs;
  std::map<Place, std::string> names;
  for (const std::string& key : lora.keys()) {
    at::Tensor Pair::*member = nullptr;
    std::string_view module = key;
    const auto ends_with = [&](std::string_view ending, at::Tensor Pair::*target) {
      if (member != nullptr || !module.ends_with(ending)) return;
      module.remove_suffix(ending.size());
      member = target;
    };
    ends_with(down, &Pair::down);
    ends_with(up, &Pair::up);
    if (is_sd) ends_with(kAlpha, &Pair::alpha);
    const auto place = member != nullptr ? modules.find(module) : std::nullopt;
    if (!place) {
      left_out.push_back(key);
      continue;
    }
    pairs[*place].*member = lora.tensor(key);
    names.emplace(*place, module);
  }
  for (const auto& [place, pair] : pairs) {
    const std::string& name = names.at(place);
    const std::string path = lora.path().string();
    if (!pair.down.defined() || !pair.up.defined()) {
      fail("{}: module '{}' has no '{}'", path, name, pair.down.defined() ? up : down);
    }
    if (pair.down.dim() != 2 || pair.up.dim() != 2 || pair.down.size(0) != pair.up.size(1)) {
      fail("{}: module '{}' has {} of [{}] and {} of [{}]; expected [rank, in] and [out, rank]", path, name, down,
           fmt::join(pair.down.sizes(), ", "), up, fmt::join(pair.up.sizes(), ", "));
    }
    if (pair.alpha.defined() && pair.alpha.numel() != 1) {
      fail("{}: module '{}' has an alpha of {} values, expected one", path, name, pair.alpha.numel());
    }
  }
  return pairs;
}

at::Tensor swap_halves(const at::Tensor& rows) {
  const int64_t half = rows.size(0) / 2;
  return at::cat({rows.narrow(0, half, half), rows.narrow(0, 0, half)});
}

// Parts of one fused layer as one module; `pairs` by the number of the part.
Pair fuse(const FluxLinear& linear, const std::map<size_t, Pair>& pairs, const std::string& name,
          const std::string& path) {
  const Pair& first = pairs.begin()->second;
  const int64_t unit = first.up.size(0) / linear.parts[pairs.begin()->first].span;
  int64_t rank = 0;
  std::vector<at::Tensor> downs;
  for (const auto& [part, pair] : pairs) {
    const int64_t rows = unit * linear.parts[part].span;
    if (pair.up.size(0) != rows || pair.down.size(1) != first.down.size(1)) {
      fail("{}: the parts of '{}' do not fit together: [{}] and [{}], [{}] and [{}]", path, name,
           fmt::join(first.down.sizes(), ", "), fmt::join(first.up.sizes(), ", "), fmt::join(pair.down.sizes(), ", "),
           fmt::join(pair.up.sizes(), ", "));
    }
    rank += pair.down.size(0);
    downs.push_back(pair.down);
  }
  Pair fused{at::cat(downs), at::zeros({unit * linear.num_parts(), rank}, first.up.options()), {}};
  int64_t row = 0, column = 0;
  for (size_t part = 0; part < linear.parts.size(); ++part) {
    const int64_t rows = unit * linear.parts[part].span;
    if (const auto found = pairs.find(part); found != pairs.end()) {
      const int64_t columns = found->second.up.size(1);
      fused.up.narrow(0, row, rows).narrow(1, column, columns).copy_(found->second.up);
      column += columns;
    }
    row += rows;
  }
  return fused;
}

// The scale alpha / rank, of which powers of two go to up until down keeps no less than up does.
struct Split {
  double down = 1, up = 1;
};
Split split_scale(double scale) {
  Split split{scale, 1};
  while (split.down * 2 < split.up && scale > 0) {
    split.down *= 2;
    split.up /= 2;
  }
  return split;
}

// Whether each part has columns of up of its own, all of the same number.
bool is_block_diagonal(const at::Tensor& up, const std::vector<int64_t>& heights) {
  const auto num_parts = static_cast<int64_t>(heights.size());
  if (up.size(1) % num_parts != 0) return false;
  const int64_t columns = up.size(1) / num_parts;
  int64_t row = 0;
  for (int64_t part = 0; part < num_parts; row += heights[part++]) {
    const at::Tensor rows = up.narrow(0, row, heights[part]);
    for (int64_t other = 0; other < num_parts; ++other) {
      if (other != part && !rows.narrow(1, other * columns, columns).eq(0).all().item<bool>()) return false;
    }
  }
  return true;
}

}  // namespace

ConvertedLora flux_lora_from_ai_toolkit(const TensorSource& lora) {
  ConvertedLora result;
  const auto pairs = read_pairs(lora, Modules::Layout::ai_toolkit, result.left_out);
  std::map<std::pair<size_t, std::string>, std::map<size_t, Pair>> layers;
  for (const auto& [place, pair] : pairs) layers[{place.linear, place.block}][place.part] = pair;
  for (const auto& [layer, parts] : layers) {
    const FluxLinear& linear = flux_linears()[layer.first];
    const std::string name = sd_module(linear, layer.second);
    Pair pair = linear.parts.size() == 1 ? parts.at(0) : fuse(linear, parts, name, lora.path().string());
    if (linear.has_swapped_halves) pair.up = swap_halves(pair.up);
    result.tensors.emplace_back(fmt::format("{}{}", name, kDown), pair.down);
    result.tensors.emplace_back(fmt::format("{}{}", name, kUp), pair.up);
    result.tensors.emplace_back(fmt::format("{}{}", name, kAlpha),
                                at::scalar_tensor(pair.down.size(0), pair.down.options()));
  }
  result.num_modules_read = pairs.size();
  result.num_modules_written = layers.size();
  return result;
}

ConvertedLora flux_lora_to_ai_toolkit(const TensorSource& lora) {
  ConvertedLora result;
  const auto pairs = read_pairs(lora, Modules::Layout::sd_scripts, result.left_out);
  const auto add = [&](const std::string& module, const at::Tensor& down, const at::Tensor& up) {
    result.tensors.emplace_back(fmt::format("{}{}", module, kA), down);
    result.tensors.emplace_back(fmt::format("{}{}", module, kB), up);
    ++result.num_modules_written;
  };
  for (const auto& [place, pair] : pairs) {
    const FluxLinear& linear = flux_linears()[place.linear];
    const int64_t rank = pair.down.size(0), num_rows = pair.up.size(0);
    const bool is_fused = linear.parts.size() > 1;
    const at::Tensor alpha =
        pair.alpha.defined() ? pair.alpha.reshape({}) : at::scalar_tensor(rank, pair.down.options().dtype(at::kFloat));
    // Of a fused layer the reference rounds the scale to alpha's dtype.
    const double scale = is_fused ? at::div(alpha, at::Scalar(rank)).item<double>() : alpha.item<double>() / rank;
    const Split split = split_scale(scale);
    const at::Tensor down = at::mul(pair.down, split.down);
    at::Tensor up = at::mul(pair.up, split.up);
    if (linear.has_swapped_halves) up = swap_halves(up);
    if (!is_fused) {
      add(diffusers_module(linear.parts[0], place.block), down, up);
      continue;
    }
    if (num_rows % linear.num_parts() != 0) {
      fail("{}: module '{}' has an up matrix of {} rows, which are not {} equal parts", lora.path().string(),
           sd_module(linear, place.block), num_rows, linear.num_parts());
    }
    std::vector<int64_t> heights;
    for (const FluxLinear::Part& part : linear.parts) heights.push_back(num_rows / linear.num_parts() * part.span);
    const bool is_diagonal = is_block_diagonal(up, heights);
    const int64_t part_rank = is_diagonal ? rank / static_cast<int64_t>(heights.size()) : rank;
    int64_t row = 0;
    for (size_t part = 0; part < heights.size(); ++part) {
      const int64_t column = is_diagonal ? static_cast<int64_t>(part) * part_rank : 0;
      add(diffusers_module(linear.parts[part], place.block), down.narrow(0, column, part_rank),
          up.narrow(0, row, heights[part]).narrow(1, column, part_rank));
      row += heights[part];
    }
  }
  result.num_modules_read = pairs.size();
  return result;
}

}  // namespace difftune
