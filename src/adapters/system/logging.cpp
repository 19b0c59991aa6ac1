#include "adapters/system/logging.h"

#include <fmt/format.h>
#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

namespace millrace::adapters::system {
namespace {

constexpr std::size_t kLogFileBytesMax = 10u << 20u;
constexpr std::size_t kLogFilesKept = 3;

}  // namespace

base::Result<void> set_up_logging(const LogOptions& options) {
  const auto level = spdlog::level::from_str(options.level);
  if (level == spdlog::level::off && options.level != "off")
    return base::invalid(
        fmt::format("'{}' is not a log level; use trace, debug, info, warn, error or off", options.level));
  try {
    auto logger = options.file.empty()
                      ? spdlog::stderr_color_mt("millrace")
                      : spdlog::rotating_logger_mt("millrace", options.file, kLogFileBytesMax, kLogFilesKept);
    logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %^%l%$ %v", spdlog::pattern_time_type::utc);
    logger->set_level(level);
    logger->flush_on(spdlog::level::info);
    spdlog::set_default_logger(std::move(logger));
  } catch (const spdlog::spdlog_ex& error) {
    return base::unavailable(fmt::format("cannot write the log file {}: {}", options.file, error.what()));
  }
  return {};
}

}  // namespace millrace::adapters::system
