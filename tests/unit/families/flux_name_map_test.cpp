// FLUX.1's name map against what the converter of Diffusers makes of a full checkpoint's keys
// (tests/data/weights/make_flux_layout.py).
#include "families/flux/flux_name_map.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "layouts.h"

namespace difftune {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

// Each row of a tensor is its number.
std::shared_ptr<const TensorSource> numbered_checkpoint(const nlohmann::json& layout) {
  std::vector<NamedTensor> tensors;
  for (const auto& [key, shape] : layout["shapes"].items()) {
    const int64_t rows = shape[0];
    std::vector<int64_t> sizes(shape.size(), 1);
    sizes[0] = rows;
    tensors.emplace_back(key, at::arange(rows).reshape(sizes));
  }
  return std::make_shared<MemorySource>(std::move(tensors), Metadata{}, "flux.safetensors");
}

TEST(FluxNameMap, EveryRowGoesWhereDiffusersPutsIt) {
  const auto layout = read_json_gz("weights/flux_layout.json.gz");
  const NameMap map = flux_diffusers_name_map();
  const auto diffusers = map.to_model(numbered_checkpoint(layout));
  EXPECT_THAT(diffusers->unexpected(), IsEmpty());
  EXPECT_EQ(diffusers->keys().size(), layout["diffusers"].size());
  for (const auto& [name, row] : layout["diffusers"].items()) {
    EXPECT_EQ(diffusers->checkpoint_key(name), row[0]);
    std::vector<int64_t> expected;
    for (size_t run = 0; run < row[1].size(); ++run) {
      for (int64_t i = 0; i < row[2][run]; ++i) expected.push_back(row[1][run].get<int64_t>() + i);
    }
    const at::Tensor found = diffusers->tensor(name).flatten().contiguous();
    const auto* rows = found.const_data_ptr<int64_t>();
    EXPECT_EQ(std::vector<int64_t>(rows, rows + found.numel()), expected) << name;
    EXPECT_EQ(diffusers->info(name).shape, diffusers->tensor(name).sizes().vec()) << name;
  }
}

TEST(FluxNameMap, RoundTripGivesTheSameFile) {
  const auto checkpoint = numbered_checkpoint(read_json_gz("weights/flux_layout.json.gz"));
  const NameMap map = flux_diffusers_name_map("transformer.");
  const auto diffusers = map.to_model(checkpoint);
  map.require_complete(*diffusers);
  const auto restored = map.to_checkpoint(diffusers);
  EXPECT_EQ(restored->keys().size(), checkpoint->keys().size());
  for (const std::string& key : checkpoint->keys()) {
    ASSERT_TRUE(restored->contains(key)) << key;
    EXPECT_EQ(restored->info(key).shape, checkpoint->info(key).shape) << key;
    EXPECT_TRUE(at::equal(restored->tensor(key), checkpoint->tensor(key))) << key;
  }
}

std::string complaint(std::vector<NamedTensor> tensors) {
  try {
    flux_diffusers_name_map().require_complete(MemorySource(std::move(tensors), {}, "t.safetensors"));
  } catch (const UserError& error) {
    return error.what();
  }
  return "";
}

TEST(FluxNameMap, AnIncompleteFileIsRefusedByName) {
  const std::string block = "single_transformer_blocks.3.";
  const NamedTensor q{block + "attn.to_q.weight", at::arange(4).reshape({4, 1})},
      k{block + "attn.to_k.weight", at::arange(4).reshape({4, 1})},
      v{block + "attn.to_v.weight", at::arange(4).reshape({4, 1})},
      mlp{block + "proj_mlp.weight", at::arange(16).reshape({16, 1})},
      low_mlp{block + "proj_mlp.weight", at::arange(12).reshape({12, 1})};
  EXPECT_EQ(complaint({q, k, v, mlp}), "");
  EXPECT_THAT(complaint({q, v, mlp}), HasSubstr("t.safetensors: tensor '" + block + "attn.to_k.weight' is missing"));
  EXPECT_THAT(complaint({q, k, v, low_mlp}), HasSubstr("int64 [12, 1]"));
  EXPECT_THAT(complaint({{"other.weight", at::arange(4)}}), HasSubstr("'other.weight' has no place"));
  EXPECT_THAT(complaint({{"norm_out.linear.bias", at::arange(3)}}), HasSubstr("'norm_out.linear.bias' is int64 [3]"));
}

}  // namespace
}  // namespace difftune
