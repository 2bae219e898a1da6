#include "base/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include "base/error.h"
#include "base/progress.h"

namespace difftune::log {
namespace {

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::debug:
      return spdlog::level::debug;
    case Level::info:
      return spdlog::level::info;
    case Level::warning:
      return spdlog::level::warn;
    case Level::error:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

constexpr const char* kPattern = "%H:%M:%S %^%-7l%$ %v";

spdlog::logger& logger() {
  static std::shared_ptr<spdlog::logger> instance = [] {
    auto made = std::make_shared<spdlog::logger>("difftune", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    made->set_pattern(kPattern);
    return made;
  }();
  return *instance;
}

}  // namespace

void configure(const Settings& settings) {
  logger().set_level(to_spdlog(settings.level));
  logger().set_pattern(settings.simple ? "%v" : kPattern);
  if (!settings.file.empty()) {
    try {
      auto sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(settings.file);
      sink->set_pattern("%Y-%m-%d %H:%M:%S %l %v");
      logger().sinks().push_back(sink);
    } catch (const spdlog::spdlog_ex& e) {
      fail("--console_log_file {}: cannot be opened for writing ({})", settings.file, e.what());
    }
    logger().flush_on(spdlog::level::debug);
  }
}

void write(Level level, std::string_view message) {
  detail::interrupt_progress_line();
  logger().log(to_spdlog(level), message);
}

bool enabled(Level level) { return logger().should_log(to_spdlog(level)); }

}  // namespace difftune::log
