#include "base/patient_threads.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace difftune {
namespace {

// Long enough for the pauses between the products of a step, which end within microseconds.
constexpr const char* kSpins = "4000";

std::vector<std::string> own_command_line() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::vector<std::string> words;
  for (std::string word; std::getline(file, word, '\0');) words.push_back(word);
  return words;
}

bool is_pipe(const std::string& word) {
  std::error_code unused;
  return std::filesystem::is_fifo(word, unused);
}

}  // namespace

void let_waiting_threads_sleep() {
  for (const char* name : {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}) {
    if (std::getenv(name) != nullptr) return;
  }
  std::vector<std::string> words = own_command_line();
  if (words.empty() || std::any_of(words.begin(), words.end(), is_pipe)) return;
  std::vector<char*> arguments;
  for (auto& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  setenv("GOMP_SPINCOUNT", kSpins, 0);
  execv("/proc/self/exe", arguments.data());  // returns where it fails; threads spin then
}

}  // namespace difftune
