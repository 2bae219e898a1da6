#include "commands/extract_lora_work.h"

#include <chrono>

#include "base/error.h"
#include "base/log.h"
#include "weight_tools/precision.h"
#include "weight_tools/tool_files.h"

namespace difftune {

ExtractRules extract_rules(const FluxExtractLoraOptions& options) {
  ExtractRules rules;
  rules.rank = options.dim;
  rules.clamp_quantile = options.clamp_quantile;
  rules.save_dtype = parse_precision(options.save_precision, "--save_precision").value_or(c10::ScalarType::Float);
  rules.exact = options.exact_svd;
  return rules;
}

int extract(const FluxExtractLoraOptions& options, const TensorSource& original, const TensorSource& tuned,
            const ExtractRules& rules, const FamilyIdentity& identity, NetworkFacts facts) {
  const auto start = std::chrono::steady_clock::now();
  const std::vector<std::string> inputs = {options.model_org, options.model_tuned};
  check_output(options.save_to, "--save_to", inputs);
  if (options.run.dry_run) {
    const size_t num_modules = count_extracted_modules(original, tuned, rules);
    log::info("would write {}: at most {} modules of rank {}, from {} to {} ({})", options.save_to, num_modules,
              rules.rank, options.model_org, options.model_tuned, identity.name);
    return 0;
  }
  const ExtractedLora lora = extract_lora(original, tuned, rules);
  if (const std::string name = first_non_finite(lora.tensors); !name.empty()) {
    fail("{} of the result is infinite in the precision of the output; use --save_precision float or bf16", name);
  }
  if (rules.modules == ExtractRules::Modules::sd_lora) {
    if (lora.has_text_encoders) {
      log::info("the text encoders differ by {:.3g} or more, which is above --min_diff", lora.largest_text_diff);
    } else {
      log::warning("the text encoders differ by no more than {:.3g} (--min_diff): the LoRA is for the U-Net only",
                   lora.largest_text_diff);
    }
  }
  facts.dim = std::to_string(rules.rank);
  facts.alpha = facts.dim + ".0";
  Metadata entries = network_entries(facts);
  if (!options.no_metadata) entries.merge(tool_model_spec(identity, /*is_lora=*/true, options.save_to, ""));
  write_lora(options.save_to, lora.tensors, entries);
  log::info(
      "wrote {}: {} modules of rank {} in {:.1f} s ({} by the full SVD); without clamping, a layer leaves out at most "
      "{:.1f} % of its difference ({}), not more than {:.6f} times what the best LoRA of this rank does",
      options.save_to, lora.num_modules, rules.rank,
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(), lora.num_exact,
      100 * lora.worst_residual, lora.worst_module, lora.worst_excess);
  return 0;
}

}  // namespace difftune
