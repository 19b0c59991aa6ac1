// Upstream: does a bounded window find every repeat? Outbox rows 1..n, one partition, relay owners with
// growing epochs (the named lock was taken away; the old owner does not know). A producer's sends land in
// order, at any later time, some perhaps never.
//
// The reader keeps a record unless its row id stands in the window and, with by_epoch, unless its epoch is
// lower than one seen before. Two windows: the last w RECORDS (what the first version had), and the last w
// DISTINCT IDS of records that are not of a former owner, where a repeat moves its id to the back (what
// src/transform/repeats.h does). Both are pure functions of the log.
//
// A reader that restarts makes its window again from the log and what it had committed with its position. In
// every state, for every position it may have stopped at, what it then keeps is compared with what a reader
// keeps that never stopped.
#include "mc.h"

constexpr int N = 6, GMAX = 6, LOGMAX = 16, INFLIGHT = 4;
enum class Window { kRecords, kIds };
enum class Again {
  kNone,             // not checked
  kRecords,          // from the last w records before the position
  kRecordsAndEpoch,  // and the highest epoch before them, committed with the position
  kStartOffset,      // from the record that holds the oldest id, whose offset is committed with the position
  kStartOffsetBefore,  // mutation: one record too late
};
struct Cfg {
  const char* name;
  bool expect_ok;
  int rows, gens, batch, w;
  bool by_epoch, fenced_mark;
  Window window = Window::kRecords;
  bool former_match = false;  // mutation: records of a former owner enter the window
  bool late_same_epoch =
      false;  // mutation: an owner whose append has no answer reads again under its old epoch
  Again again = Again::kNone;
  // Of one partition of several: an owner's fetch holds any leading part of its rows, the rest is others'.
  bool any_part = false;
  // An owner reads on, up to twice the batch in flight, and marks what has landed.
  bool ahead = false;
};
struct Task {  // pc: 1 reads, 2 sends and waits, 3 marks, 9 stopped
  uint8_t pc, n, landed, row[INFLIGHT];
};
struct Ghost {  // sends that nobody waits for any more
  uint8_t n, landed, epoch, row[INFLIGHT];
};
struct S {
  uint8_t gen, processed, len;
  uint8_t row[LOGMAX], ep[LOGMAX];
  Task t[GMAX + 1];
  Ghost ghost;
};
static Cfg c;

// --- the reader

struct Reader {
  int top = 0;             // the highest epoch
  int n = 0;               // entries, oldest first
  int id[LOGMAX + 1];      // -1: takes a place and matches nothing
  int at[LOGMAX + 1];      // the record
  int before[LOGMAX + 1];  // the highest epoch before it

  void drop(int i) {
    for (n--; i < n; i++) id[i] = id[i + 1], at[i] = at[i + 1], before[i] = before[i + 1];
  }
  void push(int row, int offset, int top_before) {
    id[n] = row, at[n] = offset, before[n] = top_before, n++;
    if (n > c.w) drop(0);
  }
  bool keeps(int offset, int row, int epoch) {
    const bool former = c.by_epoch && epoch < top;
    const int top_before = top;
    if (epoch > top) top = epoch;
    if (former) {
      if (c.window == Window::kRecords || c.former_match) push(c.former_match ? row : -1, offset, top_before);
      return false;
    }
    bool repeat = false;
    for (int i = n - 1; i >= 0; i--)
      if (id[i] == row) {
        repeat = true;
        if (c.window == Window::kIds) drop(i);
      }
    push(row, offset, top_before);
    return !repeat;
  }
};

// What a reader that stopped before record `stop` knows again. `whole` is what it knew.
static Reader again(const S& s, int stop, const Reader& whole) {
  Reader r;
  int from = 0;
  switch (c.again) {
    case Again::kRecords:
    case Again::kRecordsAndEpoch:
      from = stop > c.w ? stop - c.w : 0;
      if (c.again == Again::kRecordsAndEpoch)
        for (int i = 0; i < from; i++)
          if (s.ep[i] > r.top) r.top = s.ep[i];
      break;
    default:
      from = whole.n ? whole.at[0] : stop;
      if (c.again == Again::kStartOffsetBefore && from < stop) from++;
  }
  for (int i = from; i < stop; i++) r.keeps(i, s.row[i], s.ep[i]);
  return r;
}

static const char* inv(const S& s) {
  static char text[120];
  bool keep[LOGMAX];
  int k[N] = {};
  Reader whole;
  Reader at[LOGMAX + 1];
  for (int i = 0; i < s.len; i++) {
    at[i] = whole;
    keep[i] = whole.keeps(i, s.row[i], s.ep[i]);
    k[s.row[i]] += keep[i];
  }
  for (int r = 0; r < c.rows; r++) {
    if (k[r] > 1) return "a row counts twice";
    if (s.processed >> r & 1 && !k[r]) return "a row is marked processed, but no copy of it is kept";
  }
  if (c.again != Again::kNone)
    for (int stop = 0; stop < s.len; stop++) {
      Reader r = again(s, stop, at[stop]);
      for (int i = stop; i < s.len; i++)
        if (r.keeps(i, s.row[i], s.ep[i]) != keep[i]) {
          snprintf(text, sizeof text, "a reader that stopped before record %d judges record %d otherwise",
                   stop, i);
          return text;
        }
    }
  return nullptr;
}

// --- the owners

template <class E>
static void next(const S& s, E emit) {
  if (s.gen < c.gens) {
    S t = s;
    t.gen++;
    t.t[t.gen].pc = 1;
    emit(t, [=] { return mc::fmt("owner {} takes the lock", (int)t.gen); });
  }
  const bool room = s.len < LOGMAX;
  for (int g = 1; g <= s.gen; g++) {
    const Task& a = s.t[g];
    S t = s;
    Task& b = t.t[g];
    if (a.pc == 1 && s.processed != (1 << c.rows) - 1) {
      memset(&b, 0, sizeof b);
      for (int r = 0; r < c.rows && b.n < c.batch; r++)
        if (!(s.processed >> r & 1)) b.row[b.n++] = r;
      b.pc = 2;
      for (int n = c.any_part ? 1 : b.n; n <= b.n; n++) {
        S u = t;
        u.t[g].n = n;
        for (int i = n; i < b.n; i++) u.t[g].row[i] = 0;
        const int first = b.row[0];
        emit(u, [=] { return mc::fmt("owner {} reads {} rows from row {}", g, n, first); });
      }
    }
    if (a.pc == 2 && c.ahead && a.n <= c.batch) {
      S u = t;
      Task& d = u.t[g];
      const int last = d.row[d.n - 1];
      for (int r = last + 1; r < c.rows && d.n < a.n + c.batch; r++)
        if (!(s.processed >> r & 1)) d.row[d.n++] = r;
      const int more = d.n - a.n;
      if (more) emit(u, [=] { return mc::fmt("owner {} reads {} rows on", g, more); });
    }
    if (a.pc == 2 && c.ahead && a.landed > 0 && a.landed < a.n) {
      S u = t;
      Task& d = u.t[g];
      if (s.gen != g) {
        memset(&d, 0, sizeof d);
        d.pc = 9;
        emit(u, [=] { return mc::fmt("owner {}: mark refused (lost the lock), stops", g); });
      } else {
        for (int i = 0; i < a.landed; i++) u.processed |= 1 << a.row[i];
        memset(d.row, 0, sizeof d.row);
        d.n = a.n - a.landed, d.landed = 0;
        for (int i = 0; i < d.n; i++) d.row[i] = a.row[a.landed + i];
        emit(u, [=] { return mc::fmt("owner {} marks the {} rows that have landed", g, (int)a.landed); });
      }
    }
    if (a.pc == 2 && a.landed < a.n && room) {
      t.row[t.len] = a.row[a.landed];
      t.ep[t.len++] = g;
      b.landed++;
      if (b.landed == b.n) b.pc = 3;
      emit(t, [=] { return mc::fmt("log: row {} of owner {}", (int)a.row[a.landed], g); });
    }
    if (a.pc == 2 && c.late_same_epoch && !s.ghost.n) {
      S u = s;
      u.ghost.n = a.n, u.ghost.landed = a.landed, u.ghost.epoch = g;
      memcpy(u.ghost.row, a.row, sizeof a.row);
      memset(&u.t[g], 0, sizeof(Task));
      u.t[g].pc = 1;
      emit(u, [=] { return mc::fmt("owner {} waits no longer for its append", g); });
    }
    if (a.pc == 3) {
      if (c.fenced_mark && s.gen != g) {
        memset(&b, 0, sizeof b);
        b.pc = 9;
        emit(t, [=] { return mc::fmt("owner {}: mark refused (lost the lock), stops", g); });
      } else {
        for (int i = 0; i < a.n; i++) t.processed |= 1 << a.row[i];
        memset(&b, 0, sizeof b);
        b.pc = 1;
        emit(t, [=] { return mc::fmt("owner {} marks its rows processed", g); });
      }
    }
  }
  if (s.ghost.landed < s.ghost.n && room) {
    S t = s;
    t.row[t.len] = s.ghost.row[s.ghost.landed];
    t.ep[t.len++] = s.ghost.epoch;
    t.ghost.landed++;
    emit(t, [=] {
      return mc::fmt("log: row {} of an append of owner {} that nobody waits for",
                     (int)s.ghost.row[s.ghost.landed], (int)s.ghost.epoch);
    });
  }
}

static bool quiet(const S& s) {
  if (s.processed != (1 << c.rows) - 1) return false;
  for (int g = 1; g <= s.gen; g++)
    if (s.t[g].pc == 2 || s.t[g].pc == 3) return false;
  return s.ghost.landed == s.ghost.n;
}

int main(int argc, char** argv) {
  using enum Window;
  const Cfg all[] = {
      {"U1 window only", false, 4, 2, 1, 3, false, false},
      {"U2 window only, mark fenced", false, 4, 2, 1, 3, false, true},
      {"U3 window + epoch, mark not fenced", false, 4, 2, 1, 4, true, false},
      {"U4 records of an old epoch enter the window", false, 4, 2, 1, 4, true, true, kRecords, true},
      {"U5 epoch + fenced mark, W too small", false, 4, 3, 2, 1, true, true},
      {"U6 records, batch 1, W = 2, 3 owners", true, 4, 3, 1, 2, true, true},
      {"U7 records, batch 2, W = 4, 3 owners", true, 4, 3, 2, 4, true, true},
      {"U8 records, batch 2, W = 4, 5 owners", false, 3, 5, 2, 4, true, true},
      {"U9 ids, W = 1, batch 2", false, 4, 3, 2, 1, true, true, kIds},
      {"U10 ids, mark not fenced", false, 4, 2, 1, 4, true, false, kIds},
      {"U11 ids, epoch not checked", false, 4, 2, 1, 2, false, true, kIds},
      {"U12 ids, records of an old epoch enter the window", false, 4, 2, 1, 4, true, true, kIds, true},
      {"U13 ids, same epoch after an append without an answer", false, 4, 1, 1, 2, true, true, kIds, false,
       true},
      {"U14 ids, batch 1, W = 2, 4 owners", true, 4, 4, 1, 2, true, true, kIds},
      {"U15 ids, batch 2, W = 4, 5 owners", true, 3, 5, 2, 4, true, true, kIds},
      {"U16 ids, batch 2, W = 4, 4 owners, 4 rows", true, 4, 4, 2, 4, true, true, kIds},
      {.name = "U17 ids, any part of batch 2, W = 1",
       .expect_ok = false,
       .rows = 4,
       .gens = 3,
       .batch = 2,
       .w = 1,
       .by_epoch = true,
       .fenced_mark = true,
       .window = kIds,
       .any_part = true},
      {.name = "U18 ids, any part of batch 2, W = 4, 3 owners, 5 rows",
       .expect_ok = true,
       .rows = 5,
       .gens = 3,
       .batch = 2,
       .w = 4,
       .by_epoch = true,
       .fenced_mark = true,
       .window = kIds,
       .any_part = true},
      {.name = "U19 ids, reading on with batch 1, W = 1",
       .expect_ok = false,
       .rows = 4,
       .gens = 3,
       .batch = 1,
       .w = 1,
       .by_epoch = true,
       .fenced_mark = true,
       .window = kIds,
       .ahead = true},
      {.name = "U20 ids, reading on with batch 1, W = 4, 3 owners, 5 rows",
       .expect_ok = true,
       .rows = 5,
       .gens = 3,
       .batch = 1,
       .w = 4,
       .by_epoch = true,
       .fenced_mark = true,
       .window = kIds,
       .ahead = true},
      {.name = "U21 ids, reading on with any part of batch 1, W = 2, 3 owners, 4 rows",
       .expect_ok = true,
       .rows = 4,
       .gens = 3,
       .batch = 1,
       .w = 2,
       .by_epoch = true,
       .fenced_mark = true,
       .window = kIds,
       .any_part = true,
       .ahead = true},
      {"V1 records, made again without the epoch before", false, 4, 3, 2, 2, true, true, kRecords, false,
       false, Again::kRecords},
      {"V2 records, made again with the epoch before", true, 4, 3, 2, 4, true, true, kRecords, false, false,
       Again::kRecordsAndEpoch},
      {"V3 ids, made again from W records back", false, 4, 3, 2, 4, true, true, kIds, false, false,
       Again::kRecords},
      {"V4 ids, made again from W records back with the epoch before", false, 3, 5, 2, 2, true, true, kIds,
       false, false, Again::kRecordsAndEpoch},
      {"V5 ids, made again from one record too late", false, 4, 3, 2, 4, true, true, kIds, false, false,
       Again::kStartOffsetBefore},
      {"V6 ids, made again from the committed start, W = 4, batch 2, 4 owners", true, 3, 4, 2, 4, true, true,
       kIds, false, false, Again::kStartOffset},
      {"V7 ids, made again from the committed start, W = 2, batch 1, 4 owners", true, 4, 4, 1, 2, true, true,
       kIds, false, false, Again::kStartOffset},
  };
  int bad = 0;
  const size_t cap = argc > 2 ? strtoull(argv[2], nullptr, 10) : 60'000'000;
  for (const Cfg& x : all)
    if (argc < 2 || strstr(x.name, argv[1])) {
      c = x;
      S s;
      memset(&s, 0, sizeof s);
      bad += mc::report(x.name,
                        mc::explore(s, [](const S& z, auto e) { next(z, e); }, inv, quiet, cap), x.expect_ok);
    }
  return bad;
}
