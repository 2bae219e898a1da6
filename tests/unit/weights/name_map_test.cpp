#include "weights/name_map.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/ones.h>

#include "test_files.h"

namespace difftune {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

std::shared_ptr<const MemorySource> source(std::vector<NamedTensor> tensors) {
  return std::make_shared<MemorySource>(std::move(tensors), Metadata{{"k", "v"}}, "model.safetensors");
}

NameMap small_map() {
  NameMap block;
  block.rule("norm.*", "ln.*");
  block.rule("linear.weight", "conv.weight", Transform::squeeze_1x1());
  block.alias("linear.weight", "old.weight");
  block.ignore("position_ids");
  NameMap map("root.");
  map.nest("blocks.{}.", "b_{}.", block);
  const char* names[] = {"q", "k", "v"};
  for (int i = 0; i < 3; ++i) map.rule(fmt::format("{}.weight", names[i]), "qkv", Transform::rows(i, 3));
  map.rule("projection", "proj", Transform::transpose());
  return map;
}

TEST(NameTemplate, MatchesAndFills) {
  const NameTemplate t("a.{}.b.{}.*");
  EXPECT_EQ(t.num_wildcards(), 3);
  EXPECT_EQ(t.match("a.12.b.0.c.d"), (std::vector<std::string_view>{"12", "0", "c.d"}));
  EXPECT_EQ(t.fill({"3", "4", "x"}), "a.3.b.4.x");
  for (const char* name : {"a.12.b.0.", "a.12.b.0", "a.x.b.0.c", "a..b.0.c", "", "za.1.b.2.c"}) {
    EXPECT_FALSE(t.match(name)) << name;
  }
  EXPECT_TRUE(NameTemplate("x").match("x"));
  EXPECT_FALSE(NameTemplate("x").match("xy"));
  EXPECT_TRUE(NameTemplate("x{}").match("x10"));
}

TEST(NameMap, TranslatesBothWays) {
  const NameMap map = small_map();
  EXPECT_EQ(map.to_checkpoint("blocks.7.norm.bias")->name, "root.b_7.ln.bias");
  EXPECT_FALSE(map.to_checkpoint("blocks.7.other"));
  EXPECT_EQ(map.to_checkpoint("blocks.0.linear.weight")->name, "root.b_0.conv.weight");
  EXPECT_EQ(map.to_model("root.b_0.old.weight").at(0).name, "blocks.0.linear.weight");
  EXPECT_EQ(map.to_model("root.qkv").size(), 3);
  EXPECT_TRUE(map.to_model("b_7.ln.bias").empty());
  EXPECT_TRUE(map.ignores("b_7.ln.bias"));
  EXPECT_TRUE(map.ignores("root.b_3.position_ids"));
  EXPECT_FALSE(map.ignores("root.b_3.ln.bias"));
}

TEST(NameMap, TheFirstRuleCounts) {
  NameMap map;
  map.rule("kept.{}", "layer.0{}");
  map.ignore("layer.*");
  EXPECT_EQ(map.to_model("layer.01").at(0).name, "kept.1");
  EXPECT_TRUE(map.ignores("layer.1"));
}

TEST(NameMap, TransformsAndRestores) {
  const at::Tensor fused = at::arange(12).reshape({6, 2}), conv = at::arange(6).reshape({3, 2, 1, 1}),
                   projection = at::arange(6).reshape({2, 3});
  const auto checkpoint = source({{"root.qkv", fused}, {"root.b_0.conv.weight", conv}, {"root.proj", projection}});
  const auto model = small_map().to_model(checkpoint);
  EXPECT_THAT(model->keys(),
              UnorderedElementsAre("q.weight", "k.weight", "v.weight", "blocks.0.linear.weight", "projection"));
  EXPECT_TRUE(at::equal(model->tensor("k.weight"), fused.narrow(0, 2, 2)));
  EXPECT_TRUE(at::equal(model->tensor("projection"), projection.t()));
  EXPECT_EQ(model->tensor("blocks.0.linear.weight").sizes(), at::IntArrayRef({3, 2}));
  EXPECT_EQ(model->tensor("v.weight").storage().data(), fused.storage().data());  // a view, no copy
  for (const std::string& name : model->keys()) {
    EXPECT_EQ(model->info(name).shape, model->tensor(name).sizes().vec()) << name;
    EXPECT_EQ(model->info(name).num_bytes, model->tensor(name).nbytes()) << name;
  }
  EXPECT_EQ(model->metadata().at("k"), "v");

  const auto restored = small_map().to_checkpoint(model);
  EXPECT_EQ(restored->keys().size(), 3);
  for (const std::string& key : checkpoint->keys()) {
    EXPECT_TRUE(at::equal(restored->tensor(key), checkpoint->tensor(key))) << key;
    EXPECT_EQ(restored->info(key).shape, checkpoint->info(key).shape) << key;
    EXPECT_EQ(restored->info(key).num_bytes, checkpoint->info(key).num_bytes) << key;
  }
}

TEST(NameMap, ReportsMissingAndUnexpectedKeys) {
  const at::Tensor t = at::ones({3, 2});
  const auto model = small_map().to_model(source({{"root.b_0.old.weight", t},
                                                  {"root.b_1.old.weight", t},
                                                  {"root.b_1.conv.weight", t},
                                                  {"root.surprise", t},
                                                  {"elsewhere", t}}));
  EXPECT_THAT(model->unexpected(), ElementsAre("root.b_1.old.weight", "root.surprise"));
  EXPECT_THAT(model->missing({"blocks.0.linear.weight", "blocks.0.norm.bias"}), ElementsAre("root.b_0.ln.bias"));
  EXPECT_EQ(model->checkpoint_key("blocks.0.linear.weight"), "root.b_0.old.weight");
  EXPECT_THAT(error_of([&] { model->tensor("blocks.0.norm.bias"); }),
              HasSubstr("model.safetensors: has no tensor 'root.b_0.ln.bias'"));
}

TEST(NameMap, ShapesThatDoNotFitNameFileAndKey) {
  const auto model =
      small_map().to_model(source({{"root.qkv", at::ones({4, 2})}, {"root.b_0.conv.weight", at::ones({3, 2, 3, 3})}}));
  EXPECT_THAT(error_of([&] { model->tensor("q.weight"); }),
              HasSubstr("model.safetensors: tensor 'root.qkv' is float32 [4, 2]"));
  EXPECT_THAT(error_of([&] { model->info("blocks.0.linear.weight"); }),
              HasSubstr("'root.b_0.conv.weight' is float32 [3, 2, 3, 3]"));
}

TEST(NameMap, BugsInAMapAreFound) {
  NameMap map;
  EXPECT_THROW(map.rule("a.{}", "b"), InternalError);
  EXPECT_THROW(small_map().to_checkpoint(source({{"unknown", at::ones({1})}})), InternalError);
  EXPECT_THROW(small_map().to_checkpoint(source({{"q.weight", at::ones({1})}})), InternalError);
}

}  // namespace
}  // namespace difftune
