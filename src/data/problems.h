// Collects everything that is wrong with the data, so that one error lists it all.
#pragma once

#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace difftune {

class Problems {
 public:
  // Thread-safe. The same text counts once.
  void add(std::string problem);
  // Throws UserError with the first twenty problems, sorted, and the number of the others; does nothing where none.
  void fail_if_any() const;
  bool empty() const;

 private:
  mutable std::mutex mutex_;
  std::set<std::string> problems_;
};

}  // namespace difftune
