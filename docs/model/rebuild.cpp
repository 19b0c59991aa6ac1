// A rebuild makes the next generation of the tables beside the live ones and exchanges them
// (docs/specs/rebuild.md). Two records of one order, or three of two; MySQL runs ahead of the log. Generation
// 0 lives in R0 (sums) and B0 (base), generation 1 in R1 and B1; sinks write to the name that they know, and
// a request belongs to the table that has the name when the engine begins it.
//
// The rebuilder may die at any step and another goes on from the checkpoint; what the dead one asked for may
// be done later. Live sinks may be cut short at any step, what they asked for may be done later too. R0 and
// B0 are exchanged one after the other in the same way; the model exchanges the sums by requests that may be
// late or repeated, and the base at once.
#include "mc.h"

#ifndef SINKS
#define SINKS 1  // live; a second one is what the first leaves under way when it is cut short
#endif
#ifndef LOG
#define LOG 2
#endif
constexpr int KEYS = 2, ORDERS = LOG == 2 ? 1 : 2, GHOSTS = 1;
struct Record {
  int order, version, from, to, amount;
};
// Order 0 is made in key 0 and moves to key 1; with three records order 1 is made in key 0 between.
#if LOG == 2
constexpr Record kLog[LOG] = {{0, 1, -1, 0, 1}, {0, 2, 0, 1, 1}};
#else
constexpr Record kLog[LOG] = {{0, 1, -1, 0, 1}, {1, 1, -1, 0, 10}, {0, 2, 0, 1, 1}};
#endif

struct Cfg {
  const char* name;
  bool expect_ok;
  int attempts = 2;             // rebuilders, one after the other
  bool no_check = false;        // mutation: R1 takes the sums of any generation
  bool no_filter = false;       // mutation: records count whatever the snapshot holds
  bool start_after = false;     // mutation: the position is noted after the snapshot was read
  bool one_name = false;        // mutation: every attempt exchanges under the same name
  bool activate_first = false;  // mutation: the generation is activated before the exchange
  bool second_reader =
      false;  // mutation: a second living rebuilder reads orders again while the first one fills
};
// Names of a table of sums: the live one, and those that a shadow table has had.
enum Name : uint8_t { LIVE, MADE, FRESH1, FRESH2, OLD };
enum Phase : uint8_t { BEGIN, SNAPSHOT, FILL, CATCH_UP, EXCHANGE, DONE };
struct Row {
  uint8_t as_of_offset;
  int8_t sum;
};
struct Insert {  // st: 0 none, 1 asked for, 2 begun in `table`, 3 done, 4 refused
  uint8_t st, table;
};
struct Sink {  // pc: 0 reads the generation, 1 the position, 2 takes and reads sums, 3 waits, 4 writes the
               // position
  uint8_t pc, gen, x, y, base;  // base: 0 to do, 1 done
  Insert sums;
  Row row[KEYS];
};
struct Ghost {  // an insert of sums that nobody waits for
  uint8_t gen, name;
  Insert insert;
  Row row[KEYS];
};
struct Move {              // a request of a dead rebuilder
  uint8_t kind, from, to;  // kind: 0 none, 1 RENAME from → to, 2 EXCHANGE live, from
};
struct S {
  uint8_t committed, len, active;
  uint8_t position[2];
  Row cube[2][2][KEYS];     // table, generation of the source
  uint8_t base[2][ORDERS];  // table: newest version
  uint8_t live_base;
  uint8_t name[2];  // of R0, R1
  uint8_t snapshot[ORDERS], have[ORDERS], filled, filled_as[ORDERS];
  uint8_t phase, noted, pc, attempt, seen;
  Move late;
  Sink sink[SINKS], shadow;
  Ghost ghost[GHOSTS];
  uint8_t clash, exchanged;
};
static Cfg c;

static int named(const S& s, int name) {
  for (int t = 0; t < 2; t++)
    if (s.name[t] == name) return t;
  return -1;
}

// What a record adds to a key in a generation.
static int delta(const S& s, int gen, int j, int k) {
  const Record& r = kLog[j];
  if (gen == 1 && !c.no_filter && s.have[r.order] && r.version <= s.snapshot[r.order]) return 0;
  return (r.to == k ? r.amount : 0) - (r.from == k ? r.amount : 0);
}

static int in_snapshot(const S& s, int k) {
  int sum = 0;
  for (int o = 0; o < ORDERS; o++)
    for (const Record& r : kLog)
      if (r.order == o && r.version == s.filled_as[o]) sum += r.to == k ? r.amount : 0;
  return sum;
}

static void put(S& s, int table, int gen, const Row (&row)[KEYS]) {
  for (int k = 0; k < KEYS; k++) {
    if (!row[k].as_of_offset) continue;
    Row& o = s.cube[table][gen][k];
    if (row[k].as_of_offset > o.as_of_offset)
      o = row[k];
    else if (row[k].as_of_offset == o.as_of_offset && row[k].sum != o.sum && (table == 1 || !s.exchanged))
      s.clash = 1;
  }
}

static bool refused(int table, int gen) {
  return table == 1 && gen != 1 && !c.no_check;
}

// A sink with the name it writes sums to. `shadow` writes the base of generation 1, the others the live one.
template <class E>
static void step_sink(const S& s, const Sink& a, int index, bool shadow, E emit) {
  const auto of = [&](S& t) -> Sink& { return shadow ? t.shadow : t.sink[index]; };
  const int name = shadow ? MADE : LIVE;
  const auto who = [=] { return shadow ? std::string("shadow sink") : mc::fmt("sink {}", index); };
  S t = s;
  Sink& b = of(t);
  switch (a.pc) {
    case 0:
      if (shadow && s.phase != CATCH_UP) break;
      b.gen = shadow ? 1 : s.active, b.pc = 1;
      emit(t, [=] { return mc::fmt("{} reads generation {}", who(), shadow ? 1 : (int)s.active); });
      break;
    case 1:
      b.x = s.position[a.gen], b.pc = 2;
      emit(t, [=] { return mc::fmt("{} starts at {}", who(), (int)s.position[a.gen]); });
      break;
    case 2:
      for (int y = a.x + 1; y <= s.len; y++) {
        const int table = named(s, name);
        if (table < 0) break;
        S u = s;
        Sink& v = of(u);
        v.y = y, v.pc = 3, v.base = 0;
        for (int k = 0; k < KEYS; k++) {
          const Row o = s.cube[table][a.gen][k];
          v.row[k] = {0, 0};
          if (o.as_of_offset >= y) continue;
          bool touched = false;
          int sum = o.sum;
          for (int j = a.x; j < y; j++) {
            if (kLog[j].from != k && kLog[j].to != k) continue;
            if (delta(s, a.gen, j, k)) touched = true;
            if (j >= o.as_of_offset) sum += delta(s, a.gen, j, k);
          }
          if (touched) v.row[k] = {(uint8_t)y, (int8_t)sum};
        }
        v.sums = {1, 0};
        emit(u, [=] { return mc::fmt("{} takes {}..{} and reads sums", who(), (int)a.x, y); });
      }
      break;
    case 3:
      if (a.sums.st == 1) {
        const int table = named(s, name);
        b.sums.st = table < 0 || refused(table, a.gen) ? 4 : 2, b.sums.table = table < 0 ? 0 : table;
        emit(t, [=] { return mc::fmt("engine begins the sums of the {} in R{}", who(), table); });
      }
      if (a.sums.st == 2) {
        put(t, a.sums.table, a.gen, a.row);
        b.sums.st = 3;
        emit(t, [=] { return mc::fmt("engine: the sums of the {} are in R{}", who(), (int)a.sums.table); });
      }
      if (!a.base) {
        S u = s;
        const int table = shadow ? 1 : s.live_base;
        for (int j = a.x; j < a.y; j++)
          if (kLog[j].version > u.base[table][kLog[j].order]) u.base[table][kLog[j].order] = kLog[j].version;
        of(u).base = 1;
        emit(u, [=] { return mc::fmt("engine: base rows of the {} are in B{}", who(), table); });
      }
      if (a.base && a.sums.st == 3) {
        S u = s;
        of(u).pc = 4;
        memset(&of(u).sums, 0, sizeof(Insert));
        emit(u, [=] { return mc::fmt("{} has all answers", who()); });
      }
      if (a.sums.st == 4) {
        S u = s;
        memset(&of(u), 0, sizeof(Sink));
        emit(u, [=] { return mc::fmt("{} is refused, starts again", who()); });
      }
      break;
    default:
      if (a.y > s.position[a.gen]) t.position[a.gen] = a.y;
      b.x = a.y, b.y = 0, b.pc = 2, b.base = 0;
      memset(b.row, 0, sizeof b.row);
      emit(t, [=] {
        return mc::fmt("{} writes the position {} of generation {}", who(), (int)a.y, (int)a.gen);
      });
  }
  if (a.pc == 3) {  // cut short; what it asked for may be done later
    S u = s;
    memset(&of(u), 0, sizeof(Sink));
    emit(u, [=] { return mc::fmt("{} is cut short", who()); });
    if (a.sums.st <= 2)
      for (int g = 0; g < GHOSTS; g++)
        if (!s.ghost[g].insert.st) {
          u.ghost[g].gen = a.gen, u.ghost[g].name = name, u.ghost[g].insert = a.sums;
          memcpy(u.ghost[g].row, a.row, sizeof a.row);
          emit(u, [=] { return mc::fmt("{} is cut short, its sums are under way", who()); });
          break;
        }
  }
}

static void exchange(S& s, int name) {
  const int shadow = named(s, name), live = named(s, LIVE);
  if (shadow < 0 || live < 0) return;
  std::swap(s.name[shadow], s.name[live]);
  s.exchanged = 1;
}
static void rename_table(S& s, int from, int to) {
  const int table = named(s, from);
  if (table >= 0 && named(s, to) < 0) s.name[table] = to;
}

template <class E>
static void step_rebuilder(const S& s, E emit) {
  S t = s;
  const int fresh = c.one_name || s.attempt == 0 ? FRESH1 : FRESH2;
  switch (s.phase) {
    case BEGIN:
      t.noted = s.position[0], t.position[1] = t.noted, t.phase = SNAPSHOT;
      emit(t, [=] { return mc::fmt("rebuild notes position {}", (int)s.position[0]); });
      break;
    case SNAPSHOT: {
      bool all = true;
      for (int o = 0; o < ORDERS; o++) {
        if (s.have[o]) continue;
        all = false;
        S u = s;
        u.have[o] = 1, u.snapshot[o] = 0;
        for (int j = 0; j < s.committed; j++)
          if (kLog[j].order == o) u.snapshot[o] = kLog[j].version;
        emit(u, [=] { return mc::fmt("rebuild reads order {} at version {}", o, (int)u.snapshot[o]); });
      }
      if (all) {
        if (c.start_after) t.position[1] = s.len;
        t.phase = FILL;
        emit(t, [] { return std::string("rebuild has read all orders"); });
      }
      break;
    }
    case FILL:
      t.filled = 1, t.phase = CATCH_UP;
      for (int o = 0; o < ORDERS; o++) t.filled_as[o] = s.snapshot[o], t.base[1][o] = s.snapshot[o];
      emit(t, [] { return std::string("rebuild fills the new tables"); });
      break;
    case CATCH_UP:
      t.phase = EXCHANGE, t.pc = 0;
      memset(&t.shadow, 0, sizeof(Sink));
      emit(t, [] { return std::string("rebuild has caught up"); });
      if (c.activate_first) {
        t.active = 1;
        emit(t, [] { return std::string("rebuild activates the generation too early"); });
      }
      break;
    case EXCHANGE:
      switch (s.pc) {
        case 0:
          t.seen = s.name[1], t.pc = s.name[1] == LIVE ? 3 : 1;
          emit(t,
               [=] { return mc::fmt("rebuild {} looks: R1 has name {}", (int)s.attempt, (int)s.name[1]); });
          break;
        case 1:
          if (!(c.one_name && s.seen == fresh)) rename_table(t, s.seen, fresh);
          t.pc = 2;
          emit(t, [=] { return mc::fmt("rebuild {} renames {} to {}", (int)s.attempt, (int)s.seen, fresh); });
          break;
        case 2:
          // Looks, and asks only if the new table has the fresh name; between look and request nothing can
          // change that.
          if (s.name[1] == fresh) exchange(t, fresh);
          t.pc = 3;
          emit(t, [=] { return mc::fmt("rebuild {} exchanges {}", (int)s.attempt, fresh); });
          break;
        case 3:
          // What was replaced gets another name; R0, if the exchange was done.
          if (s.name[0] != LIVE) t.name[0] = c.one_name ? s.name[0] : OLD;
          t.pc = 4;
          emit(t, [] { return std::string("rebuild renames what was replaced"); });
          break;
        case 4:
          t.pc = s.name[1] == LIVE ? 5 : 0;
          if (t.pc == 0 && s.attempt + 1 < c.attempts) t.attempt++;
          if (t.pc == 0 && s.attempt + 1 >= c.attempts) break;
          emit(t, [] { return std::string("rebuild looks whether the exchange was done"); });
          break;
        case 5:
          t.live_base = 1, t.pc = 6;
          emit(t, [] { return std::string("rebuild exchanges the base"); });
          break;
        default:
          t.active = 1, t.phase = DONE, t.pc = 0;
          emit(t, [] { return std::string("rebuild activates the generation"); });
      }
      break;
    default:
      break;
  }
  // Dies, or waits no longer; the next attempt looks again, and what was asked for is done later, or never.
  if (s.phase == EXCHANGE && s.attempt + 1 < c.attempts) {
    S u = s;
    u.attempt++, u.pc = 0;
    emit(u, [] { return std::string("rebuild dies; another goes on"); });
    if (!s.late.kind && (s.pc == 1 || s.pc == 2)) {
      if (s.pc == 1) u.late = {1, s.seen, (uint8_t)fresh};
      if (s.pc == 2 && s.name[1] == fresh) u.late = {2, (uint8_t)fresh, 0};
      if (u.late.kind)
        emit(u, [] { return std::string("rebuild dies with a request under way; another goes on"); });
    }
    // The answer is lost, and the request is done twice.
    if (!s.late.kind && s.pc == 3 && s.name[1] == LIVE) {
      u.late = {2, (uint8_t)fresh, 0};
      emit(u, [] { return std::string("rebuild dies; its exchange will be repeated"); });
    }
  }
  if (s.late.kind) {
    S u = s;
    if (s.late.kind == 1)
      rename_table(u, s.late.from, s.late.to);
    else
      exchange(u, s.late.from);
    memset(&u.late, 0, sizeof(Move));
    emit(u, [=] {
      return mc::fmt("late: {} of name {}", s.late.kind == 1 ? "rename" : "exchange", (int)s.late.from);
    });
  }
  if (c.second_reader && s.phase > FILL)
    for (int o = 0; o < ORDERS; o++) {
      S u = s;
      for (int j = 0; j < s.committed; j++)
        if (kLog[j].order == o) u.snapshot[o] = kLog[j].version;
      if (u.snapshot[o] != s.snapshot[o])
        emit(u,
             [=] { return mc::fmt("a second rebuild reads order {} at version {}", o, (int)u.snapshot[o]); });
    }
}

template <class E>
static void next(const S& s, E emit_as_it_is) {
  const auto emit = [&](S t, auto label) {
    if (SINKS > 1 && memcmp(&t.sink[0], &t.sink[SINKS - 1], sizeof(Sink)) > 0)
      std::swap(t.sink[0], t.sink[SINKS - 1]);
    emit_as_it_is(t, label);
  };
  if (s.committed < LOG) {
    S t = s;
    t.committed++;
    emit(t, [=] { return mc::fmt("MySQL commits record {}", (int)s.committed); });
  }
  if (s.len < s.committed) {
    S t = s;
    t.len++;
    emit(t, [=] { return mc::fmt("record {} is in the log", (int)s.len); });
  }
  for (int i = 0; i < SINKS; i++) step_sink(s, s.sink[i], i, false, emit);
  step_sink(s, s.shadow, 0, true, emit);
  step_rebuilder(s, emit);
  for (int g = 0; g < GHOSTS; g++) {
    const Ghost& a = s.ghost[g];
    if (!a.insert.st) continue;
    S t = s;
    if (a.insert.st == 1) {
      const int table = named(s, a.name);
      if (table < 0 || refused(table, a.gen))
        memset(&t.ghost[g], 0, sizeof(Ghost));
      else
        t.ghost[g].insert = {2, (uint8_t)table};
      emit(t, [=] { return mc::fmt("engine begins late sums of generation {} in R{}", (int)a.gen, table); });
    } else {
      put(t, a.insert.table, a.gen, a.row);
      memset(&t.ghost[g], 0, sizeof(Ghost));
      emit(t, [=] {
        return mc::fmt("engine: late sums of generation {} are in R{}", (int)a.gen, (int)a.insert.table);
      });
    }
  }
}

static bool quiet(const S& s) {
  if (s.phase != DONE || s.len != LOG || s.position[1] != LOG || s.late.kind) return false;
  for (const Ghost& g : s.ghost)
    if (g.insert.st) return false;
  for (const Sink& k : s.sink)
    if (k.pc >= 3) return false;
  return true;
}

static const char* inv(const S& s) {
  if (s.clash) return "two different sums for one key, source and offset";
  for (int gen = 0; gen < 2; gen++)
    for (int k = 0; k < KEYS; k++) {
      const Row r = s.cube[gen][gen][k];
      if (!r.as_of_offset || (gen == 1 && !s.filled)) continue;
      // A sink of generation 0 may look for its sums in R1, find none, and write into R0 if an exchange is
      // done twice just then. R0 is dropped: its sums need to be true until the first exchange only.
      if (gen == 0 && s.exchanged) continue;
      int sum = 0;
      for (int j = gen ? s.noted : 0; j < r.as_of_offset; j++) sum += delta(s, gen, j, k);
      if (r.sum != sum) return "a sum is not true for its offset";
    }
  if (!quiet(s)) return nullptr;
  const int table = named(s, LIVE);
  for (int k = 0; k < KEYS; k++) {
    int truth = 0;
    for (int j = 0; j < LOG; j++)
      truth += (kLog[j].to == k ? kLog[j].amount : 0) - (kLog[j].from == k ? kLog[j].amount : 0);
    int sum = table == 1 ? in_snapshot(s, k) : 0;
    for (int gen = 0; gen < 2; gen++) sum += s.cube[table][gen][k].sum;
    if (sum != truth) return "all is loaded, but a sum is not right";
  }
  if (s.base[s.live_base][0] != 2 || (ORDERS > 1 && s.base[s.live_base][ORDERS - 1] != 1))
    return "all is loaded, but the base is not right";
  return nullptr;
}

int main(int argc, char** argv) {
  const Cfg all[] = {
      {.name = "G1 mutation: R1 takes sums of any generation",
       .expect_ok = false,
       .attempts = 1,
       .no_check = true},
      {.name = "G2 mutation: records of the snapshot count again",
       .expect_ok = false,
       .attempts = 1,
       .no_filter = true},
      {.name = "G3 mutation: the position is noted after the snapshot",
       .expect_ok = false,
       .attempts = 1,
       .start_after = true},
      {.name = "G4 mutation: every attempt exchanges under one name", .expect_ok = false, .one_name = true},
      {.name = "G5 mutation: activated before the exchange",
       .expect_ok = false,
       .attempts = 1,
       .activate_first = true},
      {.name = "G6 two living rebuilders", .expect_ok = false, .attempts = 1, .second_reader = true},
      {.name = "G7 one rebuilder", .expect_ok = true, .attempts = 1},
      {.name = "G8 a rebuilder that dies, and another", .expect_ok = true},
  };
  int bad = 0;
  const size_t cap = argc > 2 ? strtoull(argv[2], nullptr, 10) : 60'000'000;
  for (const Cfg& x : all)
    if (argc < 2 || strstr(x.name, argv[1])) {
      c = x;
      S s;
      memset(&s, 0, sizeof s);
      s.name[0] = LIVE, s.name[1] = MADE;
      bad += mc::report(x.name,
                        mc::explore(s, [](const S& z, auto e) { next(z, e); }, inv, quiet, cap), x.expect_ok);
    }
  return bad;
}
