#include "base/error.h"

namespace difftune {

void check_failed(const char* condition, const char* file, int line, const std::string& message) {
  throw InternalError(fmt::format("{}:{}: {}{}{}", file, line, condition, message.empty() ? "" : ": ", message));
}

}  // namespace difftune
