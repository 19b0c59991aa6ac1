// The exchange of tables at the end of a rebuild (put_in_place in src/rebuild/generations.cpp). Each process
// may end an attempt anywhere and make another, may sleep at any step, and two may be at it at once. A
// request may be carried out late, twice or never; its sender may see an error whatever became of it. Once
// one of them has said that it is done, the new table must have the live name for ever.
#include "mc.h"

#ifndef PROCESSES
#define PROCESSES 1
#endif
constexpr int ATTEMPTS = 2, TIMES = 2;  // of a process; that one request may be carried out
constexpr int NAMES = 2 + 2 * PROCESSES * ATTEMPTS, REQUESTS = 3 * PROCESSES * ATTEMPTS;

struct Cfg {
  const char* name;
  bool expect_ok;
  // mutations that leave one precaution out
  bool old_name = false;   // EXCHANGE under the name that the table has had
  bool no_retire = false;  // what was replaced keeps the name that the EXCHANGE names
  bool last_look_at_new_alone = false;
};
// Names: 0 is the live one, 1 the one that the shadow table was made with, then two for each attempt: the
// fresh one, and the one for what was replaced.
constexpr int LIVE = 0, MADE = 1;
constexpr int fresh(int p, int a) {
  return 2 + 2 * (p * ATTEMPTS + a - 1);
}
constexpr int retired(int p, int a) {
  return fresh(p, a) + 1;
}
constexpr bool is_retired(int name) {
  return name > MADE && name % 2 == 1;
}
enum At : uint8_t {
  REST,
  LOOK,
  RENAME,
  RENAMING,
  LOOK_AGAIN,
  EXCHANGE,
  EXCHANGING,
  RETIRE,
  RETIRING,
  LOOK_LAST,
  DONE
};
struct Process {
  uint8_t attempt, at, seen, answered;
};
struct Request {
  uint8_t kind, from, to, left,
      waiting;  // kind: 0 none, 1 RENAME, 2 EXCHANGE; waiting: 1 + the process, 0 none
};
struct S {
  uint8_t table_new, table_old;  // the names of the two tables
  uint8_t said_done;
  Process p[PROCESSES];
  Request q[REQUESTS];
};
static Cfg c;
// What is sent twice does the same whichever comes first: only EXCHANGE undoes itself.
constexpr uint8_t times(int kind) {
  return PROCESSES > 1 && kind == 1 ? 1 : TIMES;
}
static void put_in_order(S& s) {
  for (Request& q : s.q)
    if (!q.left) q = {};
  for (int i = 1; i < REQUESTS; i++)
    for (int j = i; j && memcmp(&s.q[j - 1], &s.q[j], sizeof(Request)) < 0; j--)
      std::swap(s.q[j - 1], s.q[j]);
}

static const char* name_of(int n) {
  static const char* fixed[] = {"live", "made"};
  static char text[4][16];
  static int turn = 0;
  if (n < 2) return fixed[n];
  char* t = text[turn = (turn + 1) % 4];
  snprintf(t, 16, "%s%d%d", is_retired(n) ? "old" : "fresh", (n - 2) / 2 / ATTEMPTS,
           (n - 2) / 2 % ATTEMPTS + 1);
  return t;
}

template <class E>
static void next(const S& s, E emit_any) {
  auto emit = [&](S t, auto label) {
    put_in_order(t);
    emit_any(t, label);
  };
  // The engine carries out what was sent, whenever it likes.
  for (int i = 0; i < REQUESTS; i++) {
    const Request& q = s.q[i];
    if (!q.kind || !q.left) continue;
    S t = s;
    t.q[i].left--;
    auto there = [&](int n) { return s.table_new == n || s.table_old == n; };
    bool works = there(q.from) && (q.kind == 1 ? !there(q.to) : there(q.to));
    auto moved = [&](uint8_t n) -> uint8_t {
      return n == q.from ? q.to : q.kind == 2 && n == q.to ? q.from : n;
    };
    if (works) t.table_new = moved(s.table_new), t.table_old = moved(s.table_old);
    if (works && q.waiting) t.p[q.waiting - 1].answered = 1;
    emit(t, [=] {
      return mc::fmt("engine: {} {} {}{}", q.kind == 1 ? "RENAME" : "EXCHANGE", name_of(q.from),
                     name_of(q.to), works ? "" : " (refused)");
    });
  }
  for (int p = 0; p < PROCESSES; p++) {
    const Process& a = s.p[p];
    auto say = [=](const char* what) {
      return mc::fmt("process {}, attempt {}: {}", p, (int)a.attempt, what);
    };
    auto go = [&](uint8_t at, uint8_t seen, const char* what) {
      S t = s;
      for (Request& q : t.q)
        if (q.waiting == p + 1) q.waiting = 0;
      t.p[p] = {a.attempt, at, seen, 0};
      emit(t, [=] { return say(what); });
    };
    auto send = [&](uint8_t kind, int from, int to, uint8_t at) {
      S t = s;
      int i = 0;
      while (t.q[i].kind) i++;
      t.q[i] = {kind, (uint8_t)from, (uint8_t)to, times(kind), (uint8_t)(p + 1)};
      t.p[p].at = at, t.p[p].answered = 0;
      emit(t, [=] {
        return say(
            mc::fmt("sends {} {} {}", kind == 1 ? "RENAME" : "EXCHANGE", name_of(from), name_of(to)).c_str());
      });
    };
    if (a.at == DONE) continue;
    if (a.at == REST) {
      if (a.attempt < ATTEMPTS) {
        S t = s;
        t.p[p] = {(uint8_t)(a.attempt + 1), LOOK, 0, 0};
        emit(t, [=] { return say("ends; another begins"); });
      }
      continue;
    }
    {
      S t = s;
      t.p[p] = {a.attempt, REST, 0, 0};
      for (Request& q : t.q)
        if (q.waiting == p + 1) q.waiting = 0;
      emit(t, [=] { return say("ends"); });
    }
    const bool answered = a.answered;
    switch (a.at) {
      case LOOK:
        go(s.table_new == LIVE ? RETIRE
           : c.old_name        ? EXCHANGE
                               : RENAME,
           s.table_new, "looks for the new table");
        break;
      case RENAME:
        send(1, a.seen, fresh(p, a.attempt), RENAMING);
        break;
      case RENAMING:
        if (answered) go(LOOK_AGAIN, 0, "is answered");
        break;
      case LOOK_AGAIN: {
        uint8_t mine = (uint8_t)fresh(p, a.attempt);
        go(s.table_new == mine ? EXCHANGE : RETIRE, mine, "looks again");
        break;
      }
      case EXCHANGE:
        send(2, LIVE, a.seen, EXCHANGING);
        break;
      case EXCHANGING:
        if (answered) go(RETIRE, 0, "is answered");
        break;
      case RETIRE:
        if (c.no_retire || s.table_old == LIVE)
          go(LOOK_LAST, 0, "finds nothing to rename");
        else
          send(1, s.table_old, retired(p, a.attempt), RETIRING);
        break;
      case RETIRING:
        if (answered) go(LOOK_LAST, 0, "is answered");
        break;
      case LOOK_LAST: {
        bool both =
            s.table_new == LIVE && (c.no_retire || c.last_look_at_new_alone || is_retired(s.table_old));
        if (!both) break;
        S t = s;
        t.said_done = 1;
        t.p[p] = {a.attempt, DONE, 0, 0};
        emit(t, [=] { return say("says that it is done"); });
        break;
      }
      default:
        break;
    }
  }
}
static const char* inv(const S& s) {
  return s.said_done && s.table_new != LIVE ? "it was said to be done, and the old table has the live name"
                                            : nullptr;
}
static bool quiet(const S& s) {
  for (auto& p : s.p)
    if (p.at != DONE && !(p.at == REST && p.attempt == ATTEMPTS)) return false;
  for (auto& q : s.q)
    if (q.kind && q.left) return false;
  return true;
}
int main(int argc, char** argv) {
  std::vector<Cfg> all;
  if (PROCESSES == 1) {
    all.push_back({.name = "X1 mutation: EXCHANGE under the old name",
                   .expect_ok = false,
                   .old_name = true,
                   .no_retire = true});
    all.push_back(
        {.name = "X2 mutation: what was replaced keeps its name", .expect_ok = false, .no_retire = true});
    all.push_back({.name = "X4 requests late and twice", .expect_ok = true});
  } else {
    all.push_back({.name = "X3 mutation: a last look at the new one alone",
                   .expect_ok = false,
                   .last_look_at_new_alone = true});
    all.push_back({.name = "X5 two processes at it", .expect_ok = true});
  }
  int bad = 0;
  size_t cap = argc > 2 ? strtoull(argv[2], 0, 10) : 60'000'000;
  for (auto& x : all)
    if (argc < 2 || strstr(x.name, argv[1])) {
      c = x;
      S s;
      memset(&s, 0, sizeof s);
      s.table_new = MADE, s.table_old = LIVE;
      auto r = mc::explore(s, [](const S& z, auto e) { next(z, e); }, inv, quiet, cap);
      bad += mc::report(x.name, r, x.expect_ok);
    }
  return bad;
}
