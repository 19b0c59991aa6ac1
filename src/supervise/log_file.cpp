#include "supervise/log_file.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <system_error>
#include <vector>

#include "base/text.h"

namespace millrace::supervise {
namespace {
constexpr std::streamoff kTailBytes = 8'192;
constexpr std::size_t kTailLines = 3;
}  // namespace

void bound_log(const std::filesystem::path& file, std::uintmax_t bytes_max) {
  std::error_code error;
  const std::uintmax_t bytes = std::filesystem::file_size(file, error);
  if (error || bytes <= bytes_max) return;
  std::filesystem::copy_file(file, file.string() + ".1", std::filesystem::copy_options::overwrite_existing,
                             error);
  std::filesystem::resize_file(file, 0, error);
}

std::string log_tail(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return "";
  file.seekg(0, std::ios::end);
  file.seekg(std::max<std::streamoff>(0, static_cast<std::streamoff>(file.tellg()) - kTailBytes));
  std::vector<std::string> lines;
  std::vector<std::string> errors;
  for (std::string line; std::getline(file, line);) {
    if (base::trim(line).empty()) continue;
    if (base::to_lower(line).find("error") != std::string::npos) errors.push_back(line);
    lines.push_back(std::move(line));
  }
  std::vector<std::string>& chosen = errors.empty() ? lines : errors;
  std::string text;
  for (std::size_t i = chosen.size() > kTailLines ? chosen.size() - kTailLines : 0; i < chosen.size(); ++i)
    text += (text.empty() ? "" : " | ") + base::printable(base::trim(chosen[i]), 300);
  return text;
}

}  // namespace millrace::supervise
