// The bounded log that all models read: records of orders_analytics as the transformer emits them.
#pragma once
#include <cstdint>
#include <cstring>
// An image of an order contributes `amount` to aggregate key `key` (0 = PENDING, 1 = SHIPPED); key -1:
// contributes nothing.
struct Rec {
  int id;
  int order;
  int version;
  int before_key;
  int after_key;
  int amount;
};  // id = event id = outbox id
constexpr Rec C(int id, int o, int v, int amt) {
  return {id, o, v, -1, 0, amt};
}  // CREATED as PENDING
constexpr Rec U(int id, int o, int v, int amt) {
  return {id, o, v, 0, 1, amt};
}  // UPDATED PENDING -> SHIPPED
constexpr Rec D(int id, int o, int v, int amt, int from) {
  return {id, o, v, from, -1, amt};
}  // DELETED, row as it was
constexpr int MAXN = 5, K = 2;
struct Log {
  int n = 0;
  Rec r[MAXN];
  // Pure function of the log: is record j a repeat of an event among the w records before it? lo = first
  // offset still kept.
  bool dup(int j, int w, int lo = 0) const {
    for (int i = j - 1; i >= lo && i >= j - w; i--)
      if (r[i].id == r[j].id) return true;
    return false;
  }
  void delta(int j, int w, int (&d)[K], int lo = 0) const {
    d[0] = d[1] = 0;
    if (dup(j, w, lo)) return;
    if (r[j].before_key >= 0) d[r[j].before_key] -= r[j].amount;
    if (r[j].after_key >= 0) d[r[j].after_key] += r[j].amount;
  }
  // What the aggregates must be in the end: every distinct event once.
  void truth(int (&d)[K], int as_of_offset = MAXN) const {
    d[0] = d[1] = 0;
    for (int j = 0; j < n && j < as_of_offset; j++) {
      int x[K];
      delta(j, MAXN, x);
      d[0] += x[0];
      d[1] += x[1];
    }
  }
};
