#include "optim/python_literal.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace difftune {
namespace {

std::string printed(const char* text) { return parse_python_literal(text, "--optimizer_args").str(); }

TEST(PythonLiteralTest, values_print_as_python_prints_them) {
  const std::pair<const char*, const char*> rows[] = {
      {"1", "1"},
      {"-3", "-3"},
      {"1_000", "1000"},
      {"0.05", "0.05"},
      {".9", "0.9"},
      {"1.", "1.0"},
      {"1e-5", "1e-05"},
      {"1E+3", "1000.0"},
      {"- 2.5", "-2.5"},
      {"True", "True"},
      {"None", "None"},
      {"'cosine'", "cosine"},
      {"\"a b\"", "a b"},
      {".9,.999", "(0.9, 0.999)"},
      {"(0.9, 0.99)", "(0.9, 0.99)"},
      {"(1,)", "(1,)"},
      {"()", "()"},
      {"[1, 'x', [2.0]]", "[1, 'x', [2.0]]"},
      {"(1)", "1"},
      {" 5 ", "5"},
      {"1,", "(1,)"},
  };
  for (const auto& [text, expected] : rows) EXPECT_EQ(printed(text), expected) << text;
}

TEST(PythonLiteralTest, anything_else_is_refused) {
  const std::string deep(1000, '(');
  for (const char* text : {"", "abc", "true", "1 2", "1e", "--", "(1", "[1,2", "'x", "{1: 2}", "1+2", "f(1)", ",1",
                           "1,,2", "0x10", "99999999999999999999", deep.c_str()}) {
    EXPECT_THROW(printed(text), UserError) << text;
  }
}

TEST(PythonLiteralTest, named_args_keep_their_order_and_the_last_value) {
  const std::vector<NamedArg> args = parse_named_args({"a=1", "b='x=y'", "a=2"}, "--optimizer_args");
  ASSERT_EQ(args.size(), 2);
  EXPECT_EQ(args[0].name, "a");
  EXPECT_EQ(args[0].value.str(), "2");
  EXPECT_EQ(args[1].value.str(), "x=y");
  EXPECT_THROW(parse_named_args({"=1"}, "--optimizer_args"), UserError);
}

}  // namespace
}  // namespace difftune
