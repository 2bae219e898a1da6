// The options of the weight tools are those of the reference's scripts, and a few of our own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "options/inference/flux_minimal_inference_options.h"
#include "options/inference/lumina_minimal_inference_options.h"
#include "options/inference/sd3_minimal_inference_options.h"
#include "options/inference/sdxl_minimal_inference_options.h"
#include "options/tools/extract_lora_options.h"
#include "options/tools/flux_merge_lora_options.h"
#include "options/tools/lora_size_options.h"
#include "options/tools/merge_lora_options.h"
#include "reference_options.h"

namespace difftune {
namespace {

using testing::ElementsAre;
using testing::ElementsAreArray;

template <typename Options>
std::vector<std::string> own_options(const std::string& script) {
  Options options;
  const OptionTable table = describe(options);
  for (const OptionSpec& spec : table.specs()) {
    EXPECT_FALSE(spec.help.empty()) << script << " " << spec.name;
    EXPECT_FALSE(spec.group.empty()) << script << " " << spec.name;
    EXPECT_EQ(spec.help.back(), '.') << script << " " << spec.name;
  }
  return check_against_reference(table, script);
}

TEST(ToolOptions, AreThoseOfTheReference) {
  EXPECT_THAT(own_options<MergeLoraOptions>("merge_lora"), ElementsAre("dry_run"));
  EXPECT_THAT(own_options<MergeLoraOldOptions>("merge_lora_old"), ElementsAre("dry_run"));
  EXPECT_THAT(own_options<SdxlMergeLoraOptions>("sdxl_merge_lora"), ElementsAre("dry_run", "reference_quirks"));
  EXPECT_THAT(own_options<FluxMergeLoraOptions>("flux_merge_lora"), ElementsAre("dry_run"));
  EXPECT_THAT(own_options<SvdMergeLoraOptions>("svd_merge_lora"), ElementsAre("exact_svd", "dry_run"));
  EXPECT_THAT(own_options<ResizeLoraOptions>("resize_lora"), ElementsAre("dry_run"));
  EXPECT_THAT(own_options<ExtractLoraFromModelsOptions>("extract_lora_from_models"),
              ElementsAre("exact_svd", "dry_run"));
  EXPECT_THAT(own_options<FluxExtractLoraOptions>("flux_extract_lora"), ElementsAre("exact_svd", "dry_run"));
  EXPECT_THAT(own_options<ExtractLoraFromDyloraOptions>("extract_lora_from_dylora"), ElementsAre("dry_run"));
}

TEST(InferenceOptions, AreThoseOfTheReference) {
  const std::vector<std::string> own = {"tokenizer_cache_dir", "reference_quirks"};
  EXPECT_THAT(own_options<SdxlMinimalInferenceOptions>("sdxl_minimal_inference"),
              ElementsAre("vae", "tokenizer_cache_dir", "width", "height", "steps", "guidance_scale", "seed"));
  EXPECT_THAT(own_options<FluxMinimalInferenceOptions>("flux_minimal_inference"), ElementsAreArray(own));
  EXPECT_THAT(own_options<Sd3MinimalInferenceOptions>("sd3_minimal_inference"),
              ElementsAre("vae", "tokenizer_cache_dir", "reference_quirks"));
  EXPECT_THAT(own_options<LuminaMinimalInferenceOptions>("lumina_minimal_inference"), ElementsAreArray(own));
}

}  // namespace
}  // namespace difftune
