#include "adapters/mysql/mysql_letter_book.h"

#include <utility>

#include <fmt/format.h>

#include "adapters/mysql/pool.h"
#include "base/text.h"

namespace millrace::adapters::mysql {
namespace {

constexpr std::size_t kConnectionsMax = 4;
constexpr std::size_t kPlacesPerLookup = 200;
constexpr std::string_view kReplayed = "REPLAYED";
constexpr std::string_view kDropped = "DROPPED";

std::string_view to_column(ports::LetterAction action) {
  return action == ports::LetterAction::kReplayed ? kReplayed : kDropped;
}

base::Result<ports::HandledLetter> read_handled(Row row) {
  ports::HandledLetter letter;
  letter.place.topic = row[0].value_or("");
  letter.place.incarnation = row[1].value_or("");
  const auto partition = row[2].integer<std::int32_t>();
  const auto offset = row[3].integer<std::int64_t>();
  if (!partition || !offset)
    return base::fatal("dead_letters holds no number where one must be: check its schema");
  letter.place.partition = *partition;
  letter.place.offset = *offset;
  letter.action = row[4] == kReplayed ? ports::LetterAction::kReplayed : ports::LetterAction::kDropped;
  letter.by = row[5].value_or("");
  letter.note = row[6].value_or("");
  if (row[7]) letter.event_id = row[7].integer<std::uint64_t>();
  MILLRACE_TRY_ASSIGN(letter.at, base::parse_utc(row[8].value_or("")));
  return letter;
}

base::Result<void> write(Connection& connection, ports::HandledLetter& letter,
                         const std::optional<ports::NewOutboxRow>& event, base::Deadline deadline) {
  // The letter's row comes first: a second replay waits here for the end of the first, and is refused.
  const Value place[] = {std::string_view(letter.place.topic),
                         std::string_view(letter.place.incarnation),
                         std::int64_t{letter.place.partition},
                         letter.place.offset,
                         to_column(letter.action),
                         std::string_view(letter.by),
                         std::string_view(letter.note),
                         base::to_sql(letter.at)};
  auto noted = connection.execute(
      "INSERT INTO dead_letters (source_topic, source_incarnation, source_partition, source_offset, action, "
      "handled_by, note, handled_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
      place, deadline);
  if (!noted && noted.error().kind == base::ErrorKind::kConflict)
    return base::conflict("the letter was handled before");
  if (!noted) return std::unexpected(std::move(noted).error());
  letter.event_id.reset();
  if (!event) return {};
  const Value row[] = {std::string_view(event->aggregate_id), std::string_view(event->aggregate_type),
                       std::string_view(event->event_type), std::string_view(event->payload),
                       base::to_sql(event->created_at)};
  MILLRACE_TRY(connection.execute(
      "INSERT INTO outbox (aggregate_id, aggregate_type, event_type, payload, created_at) VALUES (?, ?, ?, "
      "?, ?)",
      row, deadline));
  MILLRACE_TRY(connection.query(
      "SELECT LAST_INSERT_ID()", {},
      [&](Row id) -> base::Result<void> {
        letter.event_id = id[0].integer<std::uint64_t>();
        return {};
      },
      deadline));
  if (!letter.event_id) return base::fatal("the order store did not say which id the event got");
  const Value sent[] = {*letter.event_id, std::string_view(letter.place.topic),
                        std::string_view(letter.place.incarnation), std::int64_t{letter.place.partition},
                        letter.place.offset};
  MILLRACE_TRY(connection.execute(
      "UPDATE dead_letters SET event_id = ? WHERE source_topic = ? AND source_incarnation = ? AND "
      "source_partition = ? AND source_offset = ?",
      sent, deadline));
  return {};
}

}  // namespace

class MysqlLetterBook::Impl {
 public:
  explicit Impl(ServerAddress address) : pool(std::move(address), kConnectionsMax) {}
  Pool pool;
};

MysqlLetterBook::MysqlLetterBook(ServerAddress address) : impl_(std::make_unique<Impl>(std::move(address))) {}
MysqlLetterBook::~MysqlLetterBook() = default;

base::Result<ports::HandledLetter> MysqlLetterBook::handle(const ports::HandledLetter& letter,
                                                           const std::optional<ports::NewOutboxRow>& event,
                                                           base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(PooledConnection connection, impl_->pool.acquire(deadline));
  ports::HandledLetter done = letter;
  MILLRACE_TRY(connection->command("START TRANSACTION", deadline));
  base::Result<void> written = write(*connection, done, event, deadline);
  if (written) written = connection->command("COMMIT", deadline);
  if (!written) {
    // Closing the connection rolls back; nothing of it may go on in a connection that others use.
    connection.discard();
    return std::unexpected(std::move(written).error());
  }
  return done;
}

base::Result<std::vector<ports::HandledLetter>> MysqlLetterBook::handled(
    std::span<const ports::LetterPlace> places, base::Deadline deadline) {
  std::vector<ports::HandledLetter> found;
  if (places.empty()) return found;
  MILLRACE_TRY_ASSIGN(const PooledConnection connection, impl_->pool.acquire(deadline));
  for (std::size_t first = 0; first < places.size(); first += kPlacesPerLookup) {
    const auto part = places.subspan(first, std::min(kPlacesPerLookup, places.size() - first));
    std::string list;
    std::vector<Value> values;
    for (std::size_t i = 0; i < kPlacesPerLookup; ++i) {
      // Padded with the last one, so that there is one statement to prepare.
      const ports::LetterPlace& place = part[std::min(i, part.size() - 1)];
      list += list.empty() ? "(?,?,?,?)" : ",(?,?,?,?)";
      values.insert(values.end(), {std::string_view(place.topic), std::string_view(place.incarnation),
                                   std::int64_t{place.partition}, place.offset});
    }
    MILLRACE_TRY(connection->query(
        fmt::format("SELECT source_topic, source_incarnation, source_partition, source_offset, action, "
                    "handled_by, note, event_id, handled_at FROM dead_letters WHERE (source_topic, "
                    "source_incarnation, source_partition, source_offset) IN ({})",
                    list),
        values,
        [&](Row row) -> base::Result<void> {
          MILLRACE_TRY_ASSIGN(auto letter, read_handled(row));
          found.push_back(std::move(letter));
          return {};
        },
        deadline));
  }
  return found;
}

base::Result<void> MysqlLetterBook::list_handled(
    const std::string& topic, const std::function<void(const ports::LetterPlace&)>& on_place,
    base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const PooledConnection connection, impl_->pool.acquire(deadline));
  const Value name = std::string_view(topic);
  return connection->query(
      "SELECT source_incarnation, source_partition, source_offset FROM dead_letters WHERE source_topic = ?",
      {&name, 1},
      [&](Row row) -> base::Result<void> {
        const auto partition = row[1].integer<std::int32_t>();
        const auto offset = row[2].integer<std::int64_t>();
        if (!partition || !offset)
          return base::fatal("dead_letters holds no number where one must be: check its schema");
        on_place({topic, std::string(row[0].value_or("")), *partition, *offset});
        return {};
      },
      deadline);
}

base::Result<std::map<std::string, std::uint64_t>> MysqlLetterBook::handled_counts(base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const PooledConnection connection, impl_->pool.acquire(deadline));
  std::map<std::string, std::uint64_t> counts;
  MILLRACE_TRY(connection->query(
      "SELECT source_topic, COUNT(*) FROM dead_letters GROUP BY source_topic", {},
      [&](Row row) -> base::Result<void> {
        counts[std::string(row[0].value_or(""))] = row[1].integer<std::uint64_t>().value_or(0);
        return {};
      },
      deadline));
  return counts;
}

}  // namespace millrace::adapters::mysql
