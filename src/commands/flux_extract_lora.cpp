#include "commands/flux_extract_lora.h"

#include "base/error.h"
#include "commands/extract_lora_work.h"
#include "commands/run_tool.h"
#include "options/tools/extract_lora_options.h"
#include "weights/open_weights.h"

namespace difftune {
namespace {

CommandPage page() {
  return {.name = "flux_extract_lora",
          .summary = std::string(kFluxExtractLoraSummary),
          .example =
              "difftune flux_extract_lora --model_org flux1-dev.safetensors --model_tuned tuned.safetensors --dim 16 "
              "--save_to lora.safetensors --save_precision bf16"};
}

int work(FluxExtractLoraOptions& options) {
  const auto original = open_weights(options.model_org), tuned = open_weights(options.model_tuned);
  const auto identity = identify_checkpoint(*original);
  if (!identity || identity->network_module != "networks.lora_flux") {
    fail("{}: {}, expected a FLUX.1 or Chroma transformer", options.model_org,
         identity ? fmt::format("this is {} (extract_lora_from_models takes SD and SDXL)", identity->name)
                  : "not a known checkpoint");
  }
  ExtractRules rules = extract_rules(options);
  rules.modules = ExtractRules::Modules::dit_blocks;
  if (options.save_precision) {
    rules.alpha_dtype = rules.save_dtype;
  } else {
    rules.alpha_dtype = std::nullopt;
  }
  const NetworkFacts facts{.v2 = "False",
                           .base_model_version = std::string(identity->base_model_version),
                           .module = std::string(identity->network_module),
                           .args = "{}"};
  return extract(options, *original, *tuned, rules, *identity, facts);
}

}  // namespace

int run_flux_extract_lora(std::span<const std::string> words) {
  return run_tool<FluxExtractLoraOptions>(page(), words, work);
}
std::string flux_extract_lora_page() { return tool_page<FluxExtractLoraOptions>(page()); }

}  // namespace difftune
