#include "lib/daemon/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "lib/daemon/option_values.h"

namespace heddle::daemon {
namespace {

using ::testing::HasSubstr;

struct Parsed {
  std::string name;
  log::Options log;
  Result<Command, Exit> command = Command::kRun;
};

Parsed Parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "thing");
  Parsed parsed;
  parsed.command = ParseCommandLine(
      {.name = "thing", .purpose = "Does things.", .run = "Serve until SIGTERM"},
      [&parsed](CLI::App& app) {
        app.add_option("--name", parsed.name, "Whose")->required();
        AddLogOptions(app, parsed.log);
      },
      static_cast<int>(arguments.size()), arguments.data());
  return parsed;
}

TEST(CommandLine, RunAndCheckConfigTakeTheSameOptions) {
  for (const auto& [word, command] :
       {std::pair("run", Command::kRun), std::pair("check-config", Command::kCheckConfig)}) {
    const Parsed parsed = Parse({word, "--name", "x", "--log-level", "debug"});
    ASSERT_TRUE(parsed.command.has_value()) << word;
    EXPECT_EQ(*parsed.command, command);
    EXPECT_EQ(parsed.name, "x");
    EXPECT_EQ(NameOf(parsed.log.level), "debug");
  }
}

TEST(CommandLine, AFileHasTheCommandsOptionsInASectionOfItsName) {
  const std::string file = testing::TempDir() + "/command_line_test.toml";
  std::ofstream(file) << "[run]\nname = \"of the file\"\nlog-level = \"debug\"\n";
  for (const Parsed& parsed : {Parse({"--config", file.c_str(), "run", "--log-level", "warn"}),
                               Parse({"run", "--log-level", "warn", "--config", file.c_str()})}) {
    ASSERT_TRUE(parsed.command.has_value()) << parsed.command.error().text;
    EXPECT_EQ(parsed.name, "of the file");
    EXPECT_EQ(NameOf(parsed.log.level), "warn");
  }
}

TEST(CommandLine, VersionNeedsNoOptions) {
  const Parsed parsed = Parse({"version"});
  ASSERT_TRUE(parsed.command.has_value());
  EXPECT_EQ(*parsed.command, Command::kVersion);
}

TEST(CommandLine, HelpAndVersionAreNoFailureAndWrongUsageIs) {
  const struct {
    std::vector<const char*> arguments;
    int code;
    const char* text;
  } cases[] = {{{"--help"}, 0, "Does things."},
               {{"run", "--help"}, 0, "--log-format"},
               {{"--version"}, 0, "thing "},
               {{"run", "--version"}, 0, "thing "},
               {{}, 2, "subcommand"},
               {{"run"}, 2, "--name is required"},
               {{"run", "--name", "x", "--log-level", "loud"}, 2, "--log-level"},
               {{"run", "--name", "x", "--colour"}, 2, "--colour"}};
  for (const auto& c : cases) {
    const Parsed parsed = Parse(c.arguments);
    ASSERT_FALSE(parsed.command.has_value()) << c.text;
    EXPECT_EQ(parsed.command.error().code, c.code) << c.text;
    EXPECT_THAT(parsed.command.error().text, HasSubstr(c.text));
  }
}

TEST(OptionValues, HelpAndErrorsNameTheChoicesAsTheyAreWritten) {
  const Parsed help = Parse({"run", "--help"});
  ASSERT_FALSE(help.command.has_value());
  EXPECT_THAT(help.command.error().text, HasSubstr("{debug,error,info,warn}"));
  EXPECT_EQ(help.command.error().text.find('\0'), std::string::npos);  // It would end there.
  const Parsed wrong = Parse({"run", "--name", "x", "--log-level", "loud"});
  ASSERT_FALSE(wrong.command.has_value());
  EXPECT_THAT(wrong.command.error().text, HasSubstr("must be one of {debug,error,info,warn}"));
}

TEST(OptionValues, AnAddressToListenOnNamesItsFlagWhenItIsNone) {
  io::SocketAddress address;
  EXPECT_TRUE(ParseListen("--listen", "[::]:15012", address).ok());
  EXPECT_EQ(address.port, 15012);
  for (const char* text : {"", "15012", "localhost:15012", "1.2.3.4", "1.2.3.4:70000"}) {
    EXPECT_THAT(std::string(ParseListen("--listen", text, address).message()),
                HasSubstr("--listen"))
        << text;
  }
}

}  // namespace
}  // namespace heddle::daemon
