// The declared options are those of the reference's train_network.py: same names, types, defaults, choices.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "options/train_network_options.h"
#include "reference_options.h"

namespace difftune {
namespace {

TEST(ReferenceOptions, AreAllDeclaredAlike) {
  TrainNetworkOptions options;
  const OptionTable table = describe(options);
  EXPECT_THAT(check_against_reference(table, "train_network"), testing::ElementsAre("dry_run", "reference_quirks"));
  EXPECT_EQ(table.names().size(), 195u);
}

TEST(ReferenceOptions, HaveAHelpTextAndAReasonWhereNotAvailable) {
  TrainNetworkOptions options;
  const OptionTable table = describe(options);
  for (const OptionSpec& spec : table.specs()) {
    EXPECT_FALSE(spec.help.empty()) << spec.name;
    EXPECT_FALSE(spec.group.empty()) << spec.name;
    EXPECT_EQ(spec.help.back(), '.') << spec.name;
    EXPECT_EQ(spec.availability == Availability::available, spec.reason.empty()) << spec.name;
  }
}

}  // namespace
}  // namespace difftune
