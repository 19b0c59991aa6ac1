// What one event costs at both ends of the log: reading an event, writing its row, reading that row.
//
//   bench_json [--golden schema/events/golden] [--seconds 3]
//
// Prints microseconds per event, the median of nine equal slices. bench/README.md.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "domain/analytics_row.h"
#include "domain/order_event.h"
#include "transform/mapping.h"

namespace {

using namespace millrace;
using Clock = std::chrono::steady_clock;

constexpr int kSlices = 9;

std::string flag(int argc, char** argv, std::string_view name, std::string otherwise) {
  for (int i = 1; i + 1 < argc; ++i)
    if (argv[i] == name) return argv[i + 1];
  return otherwise;
}

std::string file_text(const std::string& path) {
  std::ifstream file(path);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (text.empty()) {
    std::fprintf(stderr, "bench_json: %s cannot be read\n", path.c_str());
    std::exit(1);
  }
  return text;
}

/// Calls `work`, which handles `events` of them, again and again; microseconds per event.
template <class Work>
double measure(double seconds, std::size_t events, Work work) {
  std::vector<double> slices;
  for (int slice = 0; slice < kSlices; ++slice) {
    const auto start = Clock::now();
    std::size_t rounds = 0;
    std::chrono::duration<double> spent{};
    do {
      work();
      ++rounds;
      spent = Clock::now() - start;
    } while (spent.count() < seconds / kSlices);
    slices.push_back(spent.count() * 1e6 / static_cast<double>(rounds * events));
  }
  std::ranges::nth_element(slices, slices.begin() + kSlices / 2);
  return slices[kSlices / 2];
}

[[noreturn]] void fail(const base::Error& error) {
  std::fprintf(stderr, "bench_json: %s\n", error.message.c_str());
  std::exit(1);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string directory = flag(argc, argv, "--golden", "schema/events/golden");
  const double seconds = std::strtod(flag(argc, argv, "--seconds", "3").c_str(), nullptr);
  std::vector<std::string> events;
  std::vector<std::string> rows;
  std::vector<domain::AnalyticsRow> parsed_rows;
  std::size_t bytes = 0;
  for (const char* name : {"order_created", "order_status_changed", "order_deleted"}) {
    events.push_back(file_text(directory + "/" + name + ".event.json"));
    const auto event = domain::parse_order_event(events.back());
    if (!event) fail(event.error());
    const auto now = base::utc_from_ms(1'767'225'600'000);
    parsed_rows.push_back(transform::to_analytics_row(*event, domain::EventId(1), now, now));
    rows.push_back(domain::to_json(parsed_rows.back()));
    bytes += events.back().size();
  }
  std::size_t sum = 0;  // so that nothing is optimised away
  const double read_event = measure(seconds, events.size(), [&] {
    for (const std::string& text : events) sum += domain::parse_order_event(text)->version;
  });
  const double write_row = measure(seconds, rows.size(), [&] {
    for (const auto& row : parsed_rows) sum += domain::to_json(row).size();
  });
  const double read_row = measure(seconds, rows.size(), [&] {
    for (const std::string& text : rows) sum += domain::parse_analytics_row(text)->version;
  });
  std::printf("events of %zu bytes on average, microseconds per event:\n", bytes / events.size());
  std::printf("  read an event  %7.2f\n  write its row  %7.2f\n  read the row   %7.2f\n", read_event,
              write_row, read_row);
  return sum == 0 ? 1 : 0;
}
