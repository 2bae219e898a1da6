#include "generate/sample_prompt_fields.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "diffusion/samplers.h"

namespace difftune {
namespace {

constexpr int64_t kSmallestSidePx = 64, kLargestSidePx = 16384, kSideStepPx = 8, kMostSteps = 1000;

int64_t side_px(const PromptValue& value) {
  const int64_t side = std::get<int64_t>(value);
  if (side < 1 || side > kLargestSidePx) fail("expected 1 to {} px, got {}", kLargestSidePx, side);
  return std::max(kSmallestSidePx, side - side % kSideStepPx);
}

uint64_t seed_of(const PromptValue& value) {
  if (const auto* seed = std::get_if<uint64_t>(&value)) return *seed;
  const int64_t seed = std::get<int64_t>(value);
  if (seed < 0) fail("expected 0 or more, got {}: leave it out for a new seed each time", seed);
  return static_cast<uint64_t>(seed);
}

double scale_of(const PromptValue& value) {
  const double scale = std::get<double>(value);
  if (!(scale >= 0 && scale <= 1000)) fail("expected 0 to 1000, got {}", scale);
  return scale;
}

using Type = PromptField::Type;
constexpr PromptField kFields[] = {
    {"prompt", "", Type::text, [](SamplePrompt& p, const PromptValue& v) { p.prompt = std::get<std::string>(v); }},
    {"negative_prompt", "n", Type::text,
     [](SamplePrompt& p, const PromptValue& v) { p.negative_prompt = std::get<std::string>(v); }},
    {"width", "w", Type::whole, [](SamplePrompt& p, const PromptValue& v) { p.width_px = side_px(v); }},
    {"height", "h", Type::whole, [](SamplePrompt& p, const PromptValue& v) { p.height_px = side_px(v); }},
    {"seed", "d", Type::whole, [](SamplePrompt& p, const PromptValue& v) { p.seed = seed_of(v); }},
    {"sample_steps", "s", Type::whole,
     [](SamplePrompt& p, const PromptValue& v) {
       p.num_steps = std::clamp<int64_t>(std::get<int64_t>(v), 1, kMostSteps);
     }},
    {"scale", "l", Type::real, [](SamplePrompt& p, const PromptValue& v) { p.scale = scale_of(v); }},
    {"sample_sampler", "ss", Type::text,
     [](SamplePrompt& p, const PromptValue& v) { p.sampler = std::get<std::string>(v); }},
};

constexpr std::string_view kNotUsed = "has no effect on this kind of model";
constexpr ForeignField kForeignFields[] = {
    {"controlnet_image", "cn", "sample pictures with a ControlNet are not available: leave it out", true},
    {"guidance_scale", "g", kNotUsed, false},
    {"cfg_trunc_ratio", "ctr", kNotUsed, false},
    {"renorm_cfg", "rcfg", kNotUsed, false},
    {"flow_shift", "fs", kNotUsed, false},
};

}  // namespace

std::span<const PromptField> prompt_fields() { return kFields; }
std::span<const ForeignField> foreign_fields() { return kForeignFields; }

std::string known_flags() {
  std::string flags;
  for (const PromptField& field : kFields) {
    if (!field.flag.empty()) flags += fmt::format("{}--{}", flags.empty() ? "" : ", ", field.flag);
  }
  return flags;
}

void check_sampler(const SamplePrompt& prompt, const std::string& default_sampler) {
  make_sampler({.name = prompt.sampler.value_or(default_sampler), .num_steps = prompt.num_steps}, DdpmSchedule());
}

}  // namespace difftune
