// The program: words in, exit code out. Bad input ends with one line and exit code 1 (2 for a bad command line).
#include <c10/util/Exception.h>
#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <new>
#include <string>
#include <vector>

#include "base/error.h"
#include "commands/command_table.h"

namespace {

int report(int exit_code, const std::string& message) {
  std::fflush(stdout);
  fmt::print(stderr, "error: {}\n", message);
  return exit_code;
}

int report_out_of_memory(const std::string& detail) {
  return report(1, "out of memory (" + detail +
                       "). A smaller --train_batch_size or --resolution, --gradient_checkpointing, --cache_latents and "
                       "--mixed_precision bf16 need less");
}

// Some of LibTorch's messages go on for many lines; the first says what happened.
int report_bug(const std::string& what) {
  return report(1, what.substr(0, what.find('\n')) + " (this is a bug in difftune, please report it)");
}

bool is_out_of_memory(const c10::Error& error) {
  return dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr ||
         error.msg().find("can't allocate memory") != std::string::npos;
}

}  // namespace

int main(int argc, char** argv) try {
  const std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  return difftune::run_command_line(words, DIFFTUNE_VERSION);
} catch (const difftune::UsageError& error) {
  return report(2, error.what());
} catch (const difftune::UserError& error) {
  return report(1, error.what());
} catch (const c10::Error& error) {
  return is_out_of_memory(error) ? report_out_of_memory(error.msg()) : report_bug(error.msg());
} catch (const std::bad_alloc&) {
  return report_out_of_memory("the system refused an allocation");
} catch (const std::filesystem::filesystem_error& error) {
  return report(1, error.what());
} catch (const std::exception& error) {
  return report_bug(error.what());
}
