#include <algorithm>
#include <cctype>
#include <fstream>
#include <map>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "api/routes.h"

namespace millrace::api {
namespace {

using MethodsByPath = std::map<std::string, std::set<std::string>>;

/// "/orders/{id}" as "/orders/{}": a name may differ.
std::string without_names(const std::string& path) {
  std::string out;
  bool is_name = false;
  for (const char c : path) {
    if (c == '}') is_name = false;
    if (!is_name) out += c;
    if (c == '{') is_name = true;
  }
  return out;
}

void replace_all(std::string& text, const std::string& from, const std::string& to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

/// The part of YAML that docs/openapi.yaml uses for its paths: two blanks before a path, four before a
/// method, and
/// "{$ref: …}" for a path that is the same as another.
MethodsByPath described() {
  std::ifstream file(MILLRACE_OPENAPI_FILE);
  EXPECT_TRUE(file.is_open()) << MILLRACE_OPENAPI_FILE;
  MethodsByPath paths;
  std::map<std::string, std::string> same_as;
  std::string line;
  std::string path;
  bool is_in_paths = false;
  while (std::getline(file, line)) {
    if (!line.empty() && line[0] != ' ') is_in_paths = line == "paths:";
    if (!is_in_paths) continue;
    if (line.starts_with("  /")) {
      const std::size_t colon = line.find(": ");
      path = line.substr(2, std::min(colon, line.size() - 1) - 2);
      paths[path];
      if (const std::size_t begin = line.find("#/paths/"); begin != std::string::npos) {
        std::string other = line.substr(begin + 8, line.find('"', begin) - begin - 8);
        replace_all(other, "~1", "/");
        replace_all(other, "%7B", "{");
        replace_all(other, "%7D", "}");
        same_as[path] = other;
      }
    } else if (line.starts_with("    ") && line[4] != ' ' && line.back() == ':') {
      std::string method = line.substr(4, line.size() - 5);
      if (method == "parameters") continue;
      std::ranges::transform(method, method.begin(), [](unsigned char c) { return std::toupper(c); });
      paths[path].insert(method);
    }
  }
  for (const auto& [one, other] : same_as) {
    EXPECT_TRUE(paths.contains(other)) << other;
    paths[one] = paths[other];
  }
  MethodsByPath plain;
  for (const auto& [one, methods] : paths) plain[without_names(one)] = methods;
  return plain;
}

TEST(OpenApi, DescribesExactlyTheRoutesThatThereAre) {
  MethodsByPath served;
  for (const Route& route : routes())
    served[without_names(std::string(route.pattern))].insert(std::string(route.verb));
  EXPECT_EQ(described(), served);
}

}  // namespace
}  // namespace millrace::api
