#include "options/toml_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace difftune {
namespace {

using testing::ElementsAre;

template <typename Action>
std::string error_of(Action action) {
  try {
    action();
  } catch (const UserError& e) {
    return e.what();
  }
  return "";
}

constexpr const char* kText = R"([general]
resolution = [512, 768]
shuffle = true

[[datasets]]
batch_size = 2
rate = 1
[[datasets.subsets]]
image_dir = 'C:\x'
num_repats = 3
)";

TEST(TomlReader, ReadsNestedTables) {
  const TomlTable file = parse_toml_text(kText, "d.toml");
  TomlReader top(file, "d.toml");
  auto general = top.table("general");
  ASSERT_TRUE(general);
  EXPECT_THAT(*general->integers("resolution"), ElementsAre(512, 768));
  EXPECT_EQ(general->boolean("shuffle"), true);
  EXPECT_EQ(general->string("missing"), std::nullopt);
  general->finish();
  auto datasets = top.tables("datasets");
  ASSERT_EQ(datasets.size(), 1u);
  EXPECT_EQ(datasets[0].integer("batch_size"), 2);
  EXPECT_EQ(datasets[0].number("rate"), 1.0);
  EXPECT_THAT(*datasets[0].numbers("rate"), ElementsAre(1.0));
  auto subsets = datasets[0].tables("subsets");
  ASSERT_EQ(subsets.size(), 1u);
  EXPECT_EQ(subsets[0].string("image_dir"), "C:\\x");
  top.finish();
}

TEST(TomlReader, RefusesWithFileLineAndTable) {
  const TomlTable file = parse_toml_text(kText, "d.toml");
  TomlReader top(file, "d.toml");
  auto dataset = top.tables("datasets")[0];
  auto subset = dataset.tables("subsets")[0];
  EXPECT_EQ(error_of([&] { subset.integer("image_dir"); }),
            "d.toml:9: image_dir in [[datasets.subsets]]: expected a whole number, got a text");
  subset.allow("num_repeats");
  EXPECT_EQ(error_of([&] { subset.finish(); }),
            "d.toml:10: num_repats in [[datasets.subsets]]: unknown key; did you mean num_repeats?");
  EXPECT_EQ(error_of([&] { top.tables("general"); }),
            "d.toml:1: general: expected tables, written [[general]], got a table");
  EXPECT_EQ(
      error_of([&] { dataset.table("batch_size"); }),
      "d.toml:6: batch_size in [[datasets]]: expected a table, written [datasets.batch_size], got a whole number");
  EXPECT_EQ(error_of([&] { dataset.refuse("missing", "is needed"); }), "d.toml:5: missing in [[datasets]]: is needed");
  auto general = *top.table("general");
  EXPECT_EQ(error_of([&] { general.strings("resolution"); }),
            "d.toml:2: resolution in [general]: expected a text or a list of them, got a whole number");
}

TEST(TomlReader, KeepsTheOrderOfTheFile) {
  const TomlTable file = parse_toml_text("b = 1\na = 2\n[z]\n[y]\n", "f");
  std::vector<std::string> keys;
  for (const TomlEntry& entry : file.entries) keys.push_back(entry.key);
  EXPECT_THAT(keys, ElementsAre("b", "a", "z", "y"));
}

TEST(TomlReader, RefusesBadBytes) {
  EXPECT_NE(error_of([] { parse_toml_text("\xff\xfe", "f"); }), "");
  EXPECT_NE(error_of([] { parse_toml_text(std::string("a = 1\0", 6), "f"); }), "");
  EXPECT_NE(error_of([] { parse_toml_text("a = 1\na = 2", "f"); }), "");
  EXPECT_NE(error_of([] { parse_toml_text("a = " + std::string(100000, '['), "f"); }), "");
  EXPECT_NE(error_of([] { read_toml_file("/nonexistent/x.toml"); }), "");
}

}  // namespace
}  // namespace difftune
