// The pass over everything: each table of the store beside its counterpart in the warehouse, chunk by chunk.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "base/result.h"
#include "ports/sql_reader.h"
#include "verify/candidates.h"
#include "verify/rows.h"
#include "verify/run_context.h"
#include "verify/view.h"

namespace millrace::verify {

/// One caller; for one verification.
class FirstPass {
 public:
  /// Both must outlive it. What differs becomes a candidate in `found`.
  FirstPass(RunContext& context, Candidates& found)
      : context_(context), found_(found), thin_out_at_(context.options().candidates_max / 2) {}

  /// Errors: as verify().
  [[nodiscard]] base::Result<void> run();

 private:
  template <class KeyType>
  struct ChunkOutcome;

  [[nodiscard]] base::Result<void> note_outbox_floor();
  [[nodiscard]] base::Result<void> ensure_snapshot();
  template <class Value>
  [[nodiscard]] base::Result<Value> from_snapshot(base::Result<Value> outcome);
  template <class KeyType>
  void count(Table<KeyType>& table, ChunkOutcome<KeyType>&& outcome);
  template <class Row, class KeyType, class Equal, class Stream>
  [[nodiscard]] base::Result<void> compare_chunk(std::span<const Row> store, Table<KeyType>& table,
                                                 Equal equal, Stream stream);
  [[nodiscard]] base::Result<void> compare_orders();
  [[nodiscard]] base::Result<void> thin_out_orders();
  [[nodiscard]] base::Result<void> compare_view(const View& view);

  RunContext& context_;
  Candidates& found_;
  std::size_t thin_out_at_;
  std::unique_ptr<ports::SqlSnapshot> snapshot_;
};

}  // namespace millrace::verify
