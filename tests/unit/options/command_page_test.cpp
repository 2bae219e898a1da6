#include "options/command_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <sstream>

#include "options/train_network_options.h"

namespace difftune {
namespace {

using testing::HasSubstr;

const CommandPage kPage = {"train_network", "Trains a LoRA.", "difftune train_network --seed 1"};

TEST(HelpText, NamesEveryOptionWithinTheWidth) {
  TrainNetworkOptions options;
  const OptionTable table = describe(options);
  for (const int width : {60, 80, 120}) {
    const std::string text = help_text(kPage, table, width);
    for (const OptionSpec& spec : table.specs()) EXPECT_THAT(text, HasSubstr("--" + spec.name));
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), static_cast<size_t>(width)) << line;
  }
}

TEST(HelpText, GivesDefaultUnitRangeAndChoices) {
  TrainNetworkOptions options;
  const std::string text = help_text(kPage, describe(options), 120);
  EXPECT_THAT(text,
              HasSubstr("--max_train_steps N\n      Length of the run in optimizer steps. (in steps; default 1600; "
                        "at least 1)\n"));
  EXPECT_THAT(text, HasSubstr("(default no; one of no, fp16, bf16)"));
  EXPECT_THAT(text, HasSubstr("(required)"));
  EXPECT_THAT(text, HasSubstr("--xformers\n      The same by the xformers package. No effect: "));
  EXPECT_THAT(text, HasSubstr("Not available yet: "));
}

TEST(MarkdownPage, HasARowForEveryOption) {
  TrainNetworkOptions options;
  const OptionTable table = describe(options);
  const std::string text = markdown_page(kPage, table);
  for (const OptionSpec& spec : table.specs()) EXPECT_THAT(text, HasSubstr("| `--" + spec.name));
  EXPECT_THAT(text, HasSubstr("\n## Noise and timesteps\n"));
  EXPECT_THAT(text, HasSubstr("| `--lr_warmup_steps N\\|SHARE` |"));
}

TEST(TerminalWidth, StaysWithinBounds) {
  setenv("COLUMNS", "1000", 1);
  EXPECT_EQ(terminal_width(), 120);
  setenv("COLUMNS", "1", 1);
  EXPECT_EQ(terminal_width(), 60);
  setenv("COLUMNS", "100", 1);
  EXPECT_EQ(terminal_width(), 100);
  unsetenv("COLUMNS");
}

}  // namespace
}  // namespace difftune
