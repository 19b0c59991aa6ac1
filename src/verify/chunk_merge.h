// The merge of one sorted chunk of the store's rows with the warehouse's sorted rows of the same range of
// keys.
#pragma once

#include <functional>
#include <span>
#include <utility>

#include "base/result.h"

namespace millrace::verify {

/// Calls `on_pair` once for every key on either side, with nullptr where a side has none; a key that the
/// warehouse shows again comes as one that the store lacks. Row needs a `key_of(const Row&)`. One caller.
template <class Row>
class ChunkMerge {
 public:
  using OnPair = std::function<void(const Row* store, const Row* warehouse)>;

  ChunkMerge(std::span<const Row> store, OnPair on_pair) : store_(store), on_pair_(std::move(on_pair)) {}

  /// Errors: kFatal when the keys do not rise in byte order (the comparison would be worthless).
  [[nodiscard]] base::Result<void> push(Row warehouse) {
    if (has_last_ && key_of(warehouse) < key_of(last_))
      return base::fatal(
          "the warehouse's rows do not come in byte order of their keys, so they cannot be compared");
    while (next_ < store_.size() && key_of(store_[next_]) < key_of(warehouse))
      on_pair_(&store_[next_++], nullptr);
    if (next_ < store_.size() && key_of(store_[next_]) == key_of(warehouse)) {
      on_pair_(&store_[next_++], &warehouse);
    } else {
      on_pair_(nullptr, &warehouse);
    }
    last_ = std::move(warehouse);
    has_last_ = true;
    return {};
  }

  void finish() {
    while (next_ < store_.size()) on_pair_(&store_[next_++], nullptr);
  }

 private:
  std::span<const Row> store_;
  OnPair on_pair_;
  std::size_t next_ = 0;
  Row last_;
  bool has_last_ = false;
};

}  // namespace millrace::verify
