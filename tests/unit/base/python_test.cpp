// Against CPython: tests/data/base/python.json is written by make_base.py.
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/files.h"
#include "base/python_format.h"
#include "base/python_random.h"

namespace difftune {
namespace {

const nlohmann::json& expected() {
  static const auto values = nlohmann::json::parse(read_file(TEST_DATA_DIR "/base/python.json"));
  return values;
}

std::vector<int> count_to(size_t n) {
  std::vector<int> items(n);
  std::iota(items.begin(), items.end(), 0);
  return items;
}

class Draws : public testing::TestWithParam<size_t> {};

TEST_P(Draws, FollowCPython) {
  const auto& values = expected()["draws"][GetParam()];
  PythonRandom random(values["seed"].get<uint64_t>());
  for (const double value : values["random"]) EXPECT_EQ(random.random(), value);
  for (const auto& pair : values["getrandbits"]) EXPECT_EQ(random.getrandbits(pair[0]), pair[1].get<uint64_t>());
  for (const auto& pair : values["randrange"]) EXPECT_EQ(random.randrange(pair[0]), pair[1].get<int64_t>());
  for (const int value : values["randint"]) EXPECT_EQ(random.randint(-5, 5), value);
  for (const int value : values["choice"]) EXPECT_EQ(random.choice(count_to(10)), value);
  for (const auto& draw : values["sample"]) {
    EXPECT_EQ(random.sample(count_to(draw[0]), draw[1]), draw[2].get<std::vector<int>>()) << draw[0] << " " << draw[1];
  }
  for (const double value : values["uniform"]) EXPECT_EQ(random.uniform(-2.5, 7), value);
  auto shuffled = count_to(50);
  random.shuffle(shuffled);
  EXPECT_EQ(shuffled, values["shuffle"].get<std::vector<int>>());
  for (int i = 1; i < 2000; ++i) random.random();
  EXPECT_EQ(random.random(), values["many"].get<double>());
}

INSTANTIATE_TEST_SUITE_P(Seeds, Draws, testing::Range<size_t>(0, 6));

TEST(PythonRandom, StateGoesOnWhereItWasTaken) {
  PythonRandom random(7), other(8);
  for (int i = 0; i < 700; ++i) random.next_u32();
  other.set_state(random.state());
  for (int i = 0; i < 700; ++i) ASSERT_EQ(other.next_u32(), random.next_u32());
}

TEST(PythonFormat, Repr) {
  for (const auto& pair : expected()["repr"]) {
    EXPECT_EQ(python_repr(std::strtod(pair[0].get<std::string>().c_str(), nullptr)), pair[1].get<std::string>());
  }
  EXPECT_EQ(python_repr(HUGE_VAL), "inf");
  EXPECT_EQ(python_repr(-HUGE_VAL), "-inf");
  EXPECT_EQ(python_repr(NAN), "nan");
}

TEST(PythonFormat, JsonQuote) {
  for (const auto& pair : expected()["json"]) EXPECT_EQ(json_quote(pair[0].get<std::string>()), pair[1]);
}

}  // namespace
}  // namespace difftune
