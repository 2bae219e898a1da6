#include "generate/sample_prompt_fields.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/error.h"
#include "diffusion/samplers.h"

namespace difftune {
namespace {

constexpr int64_t kSmallestSidePx = 64, kLargestSidePx = 16384, kMostSteps = 1000;

int64_t side_px(const PromptValue& value) {
  const int64_t side = std::get<int64_t>(value);
  if (side < 1 || side > kLargestSidePx) fail("expected 1 to {} px, got {}", kLargestSidePx, side);
  return side;
}

uint64_t seed_of(const PromptValue& value) {
  if (const auto* seed = std::get_if<uint64_t>(&value)) return *seed;
  const int64_t seed = std::get<int64_t>(value);
  if (seed < 0) fail("expected 0 or more, got {}: leave it out for a new seed each time", seed);
  return static_cast<uint64_t>(seed);
}

double strength_of(const PromptValue& value) {
  const double strength = std::get<double>(value);
  if (!(strength >= 0 && strength <= 1000)) fail("expected 0 to 1000, got {}", strength);
  return strength;
}

bool has_limits(const PictureTraits& traits) { return traits.limits.has_value(); }

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
    {"scale", "l", Type::real, [](SamplePrompt& p, const PromptValue& v) { p.scale = strength_of(v); }},
    {"sample_sampler", "ss", Type::text,
     [](SamplePrompt& p, const PromptValue& v) { p.sampler = std::get<std::string>(v); },
     [](const PictureTraits& traits) { return traits.has_samplers; }},
    {"guidance_scale", "g", Type::real, [](SamplePrompt& p, const PromptValue& v) { p.guidance = strength_of(v); },
     [](const PictureTraits& traits) { return traits.guidance.has_value(); }},
    {"cfg_trunc_ratio", "ctr", Type::real,
     [](SamplePrompt& p, const PromptValue& v) { p.limits->end = strength_of(v); }, has_limits},
    {"renorm_cfg", "rcfg", Type::real,
     [](SamplePrompt& p, const PromptValue& v) { p.limits->largest_norm = strength_of(v); }, has_limits},
};

constexpr ForeignField kForeignFields[] = {
    {"controlnet_image", "cn", "sample pictures with a ControlNet are not available: leave it out", true},
    {"flow_shift", "fs", kNotUsed, false},
};

}  // namespace

std::span<const PromptField> prompt_fields() { return kFields; }
std::span<const ForeignField> foreign_fields() { return kForeignFields; }

bool applies(const PromptField& field, const PictureTraits& traits) {
  return field.applies == nullptr || field.applies(traits);
}

PromptValue parse_prompt_value(const PromptField& field, std::string_view text) {
  const auto number = [&](auto value, std::string_view expected) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) fail("expected {}", expected);
    return value;
  };
  switch (field.type) {
    case PromptField::Type::whole:
      if (field.key == "seed") return number(uint64_t{}, "a whole number from 0 to 18446744073709551615");
      return number(int64_t{}, "a whole number");
    case PromptField::Type::real:
      return number(double{}, "a number");
    default:
      return std::string(text);
  }
}

std::string known_flags(const PictureTraits& traits) {
  std::string flags;
  for (const PromptField& field : kFields) {
    if (field.flag.empty() || !applies(field, traits)) continue;
    flags += fmt::format("{}--{}", flags.empty() ? "" : ", ", field.flag);
  }
  return flags;
}

void round_sides(SamplePrompt& prompt, const PictureTraits& traits) {
  for (int64_t* side : {&prompt.width_px, &prompt.height_px}) {
    *side = std::max(kSmallestSidePx, *side - *side % traits.side_step_px);
  }
}

void check_sampler(const SamplePrompt& prompt, const PictureTraits& traits, const std::string& default_sampler) {
  if (!traits.has_samplers) return;
  make_sampler({.name = prompt.sampler.value_or(default_sampler), .num_steps = prompt.num_steps}, DdpmSchedule());
}

SamplePrompt default_prompt(const PictureTraits& traits) {
  SamplePrompt prompt;
  prompt.width_px = prompt.height_px = traits.side_px;
  prompt.num_steps = traits.num_steps;
  prompt.scale = traits.scale;
  prompt.guidance = traits.guidance;
  prompt.limits = traits.limits;
  return prompt;
}

bool is_guided(const SamplePrompt& prompt, const PictureTraits& traits) {
  return prompt.scale > 1 || (prompt.scale < 1 && traits.scales_below_one);
}

}  // namespace difftune
