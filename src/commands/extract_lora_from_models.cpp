#include "commands/extract_lora_from_models.h"

#include "base/error.h"
#include "base/python_format.h"
#include "commands/extract_lora_work.h"
#include "commands/run_tool.h"
#include "options/tools/extract_lora_options.h"
#include "weight_tools/precision.h"
#include "weights/open_weights.h"

namespace difftune {
namespace {

CommandPage page() {
  return {.name = "extract_lora_from_models",
          .summary = std::string(kExtractLoraFromModelsSummary),
          .example =
              "difftune extract_lora_from_models --model_org base.safetensors --model_tuned tuned.safetensors --dim 16 "
              "--save_to lora.safetensors --save_precision fp16"};
}

// The model's identity, checked against what the options say of it.
FamilyIdentity checked_identity(const ExtractLoraFromModelsOptions& options, const TensorSource& original) {
  const auto found = identify_checkpoint(original);
  const FamilyIdentity sd1 = sd_identity(false, options.v_parameterization), sd2 = sd_identity(true, true);
  const FamilyIdentity sdxl = *family_identity("Stable Diffusion XL");
  if (!found || (found->name != sd1.name && found->name != sd2.name && found->name != sdxl.name)) {
    fail("{}: {}, expected a checkpoint of Stable Diffusion 1.x, 2.x or XL", options.model_org,
         found ? fmt::format("this is {} (flux_extract_lora takes FLUX.1)", found->name) : "not a known checkpoint");
  }
  const auto refuse = [&](const char* option) {
    throw UsageError(fmt::format("{}: this is {}: leave out {}", options.model_org, found->name, option));
  };
  if (options.v2 && found->name != sd2.name) refuse("--v2");
  if (options.sdxl && found->name != sdxl.name) refuse("--sdxl");
  if (found->name == sd1.name) return sd1;
  if (found->name == sd2.name) return sd2;
  FamilyIdentity identity = sdxl;
  if (options.v_parameterization) identity.prediction_type = "v";
  return identity;
}

int work(ExtractLoraFromModelsOptions& options) {
  const auto original = open_weights(options.model_org), tuned = open_weights(options.model_tuned);
  const FamilyIdentity identity = checked_identity(options, *original);
  ExtractRules rules = extract_rules(options);
  rules.conv_rank = options.conv_dim;
  rules.min_diff = options.min_diff;
  rules.load_dtype = parse_precision(options.load_precision, "--load_precision");
  rules.alpha_dtype = rules.save_dtype;
  NetworkFacts facts{.v2 = python_str(identity.name == sd_identity(true, true).name),
                     .base_model_version = std::string(identity.base_model_version),
                     .args = "{}"};
  if (options.conv_dim) {
    facts.args = fmt::format("{{\"conv_dim\": \"{0}\", \"conv_alpha\": \"{0}.0\"}}", *options.conv_dim);
  }
  return extract(options, *original, *tuned, rules, identity, facts);
}

}  // namespace

int run_extract_lora_from_models(std::span<const std::string> words) {
  return run_tool<ExtractLoraFromModelsOptions>(page(), words, work);
}
std::string extract_lora_from_models_page() { return tool_page<ExtractLoraFromModelsOptions>(page()); }

}  // namespace difftune
