#include "options/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "options/option_text.h"
#include "options/train_network_options.h"

namespace difftune {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;

Json to_json(const OptionValue& value) {
  return std::visit(
      [](const auto& v) -> Json {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, std::monostate>) {
          return nullptr;
        } else if constexpr (std::is_same_v<T, Number>) {
          return v.is_integer() ? Json(static_cast<int64_t>(v.value())) : Json(v.value());
        } else {
          return v;
        }
      },
      value);
}

struct Parsed {
  TrainNetworkOptions options;
  OptionTable table = describe(options);
  bool help_wanted = false;

  explicit Parsed(const std::vector<std::string>& words) {
    const CommandLine line = parse_command_line(table, words);
    help_wanted = line.help_wanted;
    for (const Assignment& a : line.assignments) write_field(table.specs()[a.option].field, a.value);
  }
};

std::string error_of(const std::vector<std::string>& words) {
  try {
    Parsed parsed(words);
  } catch (const UsageError& e) {
    return e.what();
  }
  return "";
}

// "" and [] are "not given" here, and None for every use in the reference.
Json without_empty(Json value) {
  if (value == "" || value == Json::array()) return nullptr;
  return value;
}

TEST(CommandLine, AgreesWithArgparse) {
  int num_values = 0, num_errors = 0;
  for (const Json& test : Json::parse(read_file(TEST_DATA_DIR "/options/argparse_cases.json"))) {
    const std::vector<std::string> words = test["words"];
    SCOPED_TRACE(test["words"].dump());
    const std::string error = error_of(words);
    if (test.contains("error")) {
      EXPECT_NE(error, "");
      ++num_errors;
      continue;
    }
    if (error.find("out of range") != std::string::npos) continue;
    ASSERT_EQ(error, "");
    const Parsed parsed(words);
    EXPECT_EQ(parsed.help_wanted, test.contains("help"));
    if (parsed.help_wanted) continue;
    ++num_values;
    for (const OptionSpec& spec : parsed.table.specs()) {
      const Json expected = test["values"].value(spec.name, to_json(spec.default_value));
      const Json got = to_json(spec.value());
      EXPECT_EQ(without_empty(got), without_empty(expected)) << spec.name;
      EXPECT_EQ(got.is_number_integer(), expected.is_number_integer()) << spec.name;
    }
  }
  EXPECT_GT(num_values, 400);
  EXPECT_GT(num_errors, 100);
}

TEST(CommandLine, TakesNegativeNumbersWithAnExponent) {
  EXPECT_DOUBLE_EQ(*Parsed({"--noise_offset", "-1e-4"}).options.noise.noise_offset, -1e-4);
}

TEST(CommandLine, NamesTheNearestOption) {
  EXPECT_THAT(error_of({"--learning_rat_e", "1"}), HasSubstr("did you mean --learning_rate?"));
  EXPECT_THAT(error_of({"--learning-rate=1"}), HasSubstr("did you mean --learning_rate?"));
  EXPECT_THAT(error_of({"--zzzzzzzzzzzz"}), HasSubstr("--help lists all options"));
}

TEST(CommandLine, SaysWhatIsWrong) {
  EXPECT_EQ(error_of({"--seed"}), "--seed needs a value (N)");
  EXPECT_EQ(error_of({"--caption_prefix", "-x"}),
            "--caption_prefix needs a value (TEXT); a value that begins with a dash is written --name=-x");
  EXPECT_EQ(error_of({"--seed", "1.5"}), "--seed: '1.5' is not a whole number");
  EXPECT_EQ(error_of({"--seed", "99999999999999999999"}), "--seed: '99999999999999999999' is not a whole number");
  EXPECT_EQ(error_of({"--learning_rate", "nan"}), "--learning_rate: 'nan' is not a number");
  EXPECT_EQ(error_of({"--learning_rate", "-1"}), "--learning_rate: -1 is out of range; it must be 0 or more");
  EXPECT_EQ(error_of({"--caption_dropout_rate", "2"}),
            "--caption_dropout_rate: 2 is out of range; it must be from 0 to 1");
  EXPECT_EQ(error_of({"--mixed_precision", "bf-16"}),
            "--mixed_precision: 'bf-16' is not one of no, fp16, bf16; did you mean bf16?");
  EXPECT_EQ(error_of({"--v2=1"}), "--v2 takes no value, but got '1'");
  EXPECT_EQ(error_of({"--resolution", "512", "768"}), "'768' belongs to no option: --resolution takes one value");
  EXPECT_EQ(error_of({"lora.toml"}), "'lora.toml' belongs to no option; --help lists them");
  EXPECT_THAT(error_of({"--cap", "x"}), HasSubstr("beginning of several options: --caption_extension, "));
}

TEST(CommandLine, SurvivesAnyBytes) {
  EXPECT_NE(error_of({std::string("--\0\xff", 4)}), "");
  EXPECT_NE(error_of({"--=", "-", "\xc3"}), "");
  EXPECT_EQ(error_of({"--caption_prefix", "\xff\xfe"}), "");
}

TEST(PythonNumbers, FollowPython) {
  EXPECT_EQ(python_int("-1_0"), -10);
  EXPECT_EQ(python_int("1_"), std::nullopt);
  EXPECT_EQ(python_int("+-1"), std::nullopt);
  EXPECT_EQ(python_float("1_0.5e1"), 105.0);
  EXPECT_EQ(python_float("1_e1"), std::nullopt);
  EXPECT_EQ(python_float("inf"), std::nullopt);
  EXPECT_EQ(python_float(""), std::nullopt);
}

}  // namespace
}  // namespace difftune
