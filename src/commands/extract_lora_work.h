// What extract_lora_from_models and flux_extract_lora share.
#pragma once

#include "commands/tool_metadata.h"
#include "families/family_identity.h"
#include "options/tools/extract_lora_options.h"
#include "weight_tools/extract_lora.h"

namespace difftune {

ExtractRules extract_rules(const FluxExtractLoraOptions& options);

// Extracts, writes and reports; returns the exit code. Dim and alpha are put into `facts` here.
int extract(const FluxExtractLoraOptions& options, const TensorSource& original, const TensorSource& tuned,
            const ExtractRules& rules, const FamilyIdentity& identity, NetworkFacts facts);

}  // namespace difftune
