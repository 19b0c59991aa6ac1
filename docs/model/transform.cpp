// Between transformer and sink: repeats of the transformer are runs of input offsets that do not rise. One
// input partition of IN events, transformers with growing generations (the old one does not know), one output
// partition, two sinks of which either may stop at any step for ever or for long. The sink keeps a record
// whose input offset is above all before it, and writes with its position the highest input offset below it,
// with which a sink that starts there goes on.
#include "mc.h"

constexpr int IN = 3, GMAX = 3, OUTMAX = 9, SINKS = 2;
struct Cfg {
  const char* name;
  bool expect_ok;
  int gens;
  bool keep_repeats = false;    // mutation: the sink keeps every record
  bool position_alone = false;  // mutation: the position is written without the input offset
  bool commit_early = false;    // mutation: the transformer commits before its append is acknowledged
  bool two_in_flight = false;   // mutation: the second half of a batch may reach the log before the first
  bool position_early = false;  // mutation: the sink writes its position before its sums
};
struct Task {  // pc: 1 reads the committed offset, 2 takes, 3 appends, 4 commits, 9 stopped
  uint8_t pc, from, to, landed;
};
struct Sum {  // the running sum of one key: one for each event that is kept
  uint8_t as_of_offset, sum;
};
struct Sink {  // pc: 0 reads the position, 1 reads the sum, 2 writes it, 3 writes the position
  uint8_t pc, x, y;
  int8_t in, in_y;
  Sum sum;
};
struct S {
  uint8_t gen, committed, len;
  int8_t out[OUTMAX];
  Task t[GMAX + 1];
  Sink sink[SINKS];
  uint8_t as_of_offset;
  int8_t in;  // of the position row
  Sum sum;    // the newest
  uint8_t clash;
};
static Cfg c;

// How many different events stand below `as_of_offset`.
static int truth(const S& s, int as_of_offset) {
  int seen = 0;
  for (int j = 0; j < as_of_offset; j++) seen |= 1 << s.out[j];
  return __builtin_popcount(seen);
}

template <class E>
static void next(const S& s, E emit) {
  if (s.gen < c.gens) {
    S t = s;
    t.gen++;
    t.t[t.gen].pc = 1;
    emit(t, [=] { return mc::fmt("transformer {} gets the partition", (int)t.gen); });
  }
  for (int g = 1; g <= s.gen; g++) {
    const Task& a = s.t[g];
    S t = s;
    Task& b = t.t[g];
    switch (a.pc) {
      case 1:
        b.pc = 2, b.from = b.to = s.committed, b.landed = 0;
        emit(t, [=] { return mc::fmt("transformer {} starts at {}", g, (int)s.committed); });
        break;
      case 2:
        for (int to = a.from + 1; to <= IN; to++) {
          S u = t;
          u.t[g].to = to, u.t[g].landed = 0, u.t[g].pc = c.commit_early ? 4 : 3;
          emit(u, [=] { return mc::fmt("transformer {} takes {}..{}", g, (int)a.from, to); });
        }
        break;
      case 3: {
        const int n = a.to - a.from;
        for (int i = 0; i < n && s.len < OUTMAX; i++) {
          if (a.landed >> i & 1) continue;
          if (i && !c.two_in_flight && !(a.landed >> (i - 1) & 1)) continue;
          S u = s;
          u.out[u.len++] = a.from + i;
          u.t[g].landed |= 1 << i;
          if (u.t[g].landed == (1 << n) - 1) {
            u.t[g].landed = 0;
            if (c.commit_early)
              u.t[g].from = a.to, u.t[g].pc = 2;
            else
              u.t[g].pc = 4;
          }
          emit(u, [=] { return mc::fmt("output: event {} by transformer {}", a.from + i, g); });
        }
        break;
      }
      case 4:
        if (s.gen != g) {
          memset(&b, 0, sizeof b);
          b.pc = 9;
          emit(t, [=] { return mc::fmt("transformer {}: commit refused, stops", g); });
        } else {
          t.committed = a.to;
          if (c.commit_early)
            b.pc = 3;
          else
            b.from = a.to, b.pc = 2;
          emit(t, [=] { return mc::fmt("transformer {} commits {}", g, (int)a.to); });
        }
        break;
      default:
        break;
    }
  }
  for (int k = 0; k < SINKS; k++) {
    const Sink& a = s.sink[k];
    S t = s;
    Sink& b = t.sink[k];
    const int first = c.position_early ? 3 : 2, second = c.position_early ? 2 : 3;
    switch (a.pc) {
      case 0:
        for (int y = s.as_of_offset + 1; y <= s.len; y++) {
          S u = s;
          Sink& v = u.sink[k];
          v.pc = 1, v.x = s.as_of_offset, v.y = y, v.in = c.position_alone ? -1 : s.in;
          emit(u, [=] { return mc::fmt("sink {} takes {}..{}", k, (int)s.as_of_offset, y); });
        }
        break;
      case 1: {
        int in = a.in, sum = s.sum.sum;
        for (int j = a.x; j < a.y; j++) {
          const bool fresh = s.out[j] > in;
          if (fresh) in = s.out[j];
          if (j >= s.sum.as_of_offset && (fresh || c.keep_repeats)) sum++;
        }
        b.in_y = in, b.pc = first;
        b.sum = s.sum.as_of_offset >= a.y ? Sum{0, 0} : Sum{a.y, (uint8_t)sum};
        emit(t, [=] {
          return mc::fmt("sink {} reads the sum {} up to {}", k, (int)s.sum.sum, (int)s.sum.as_of_offset);
        });
        break;
      }
      case 2:
        if (a.sum.as_of_offset > s.sum.as_of_offset)
          t.sum = a.sum;
        else if (a.sum.as_of_offset && a.sum.as_of_offset == s.sum.as_of_offset && a.sum.sum != s.sum.sum)
          t.clash = 1;
        b.pc = second;
        if (c.position_early) memset(&b, 0, sizeof b);
        emit(t, [=] {
          return mc::fmt("sink {} writes the sum {} up to {}", k, (int)a.sum.sum, (int)a.sum.as_of_offset);
        });
        break;
      default:
        if (a.y > s.as_of_offset) t.as_of_offset = a.y, t.in = a.in_y;
        if (c.position_early)
          b.pc = second;
        else
          memset(&b, 0, sizeof b);
        emit(t, [=] { return mc::fmt("sink {} writes the position {}", k, (int)a.y); });
    }
  }
}

static bool quiet(const S& s) {
  if (s.committed != IN || s.as_of_offset != s.len) return false;
  for (int g = 1; g <= s.gen; g++)
    if (s.t[g].pc == 3 || s.t[g].pc == 4) return false;
  return true;
}

static const char* inv(const S& s) {
  if (s.clash) return "two different sums for one offset";
  int in = -1, kept = 0, landed = 0;
  for (int j = 0; j < s.len; j++) {
    landed |= 1 << s.out[j];
    if (s.out[j] > in) in = s.out[j], kept |= 1 << in;
  }
  if (kept != landed) return "an event is taken for a repeat, but no copy of it is kept";
  if (s.sum.sum != truth(s, s.sum.as_of_offset)) return "a sum is not true for its offset";
  if (s.committed && (landed & ((1 << s.committed) - 1)) != (1 << s.committed) - 1)
    return "committed, but not in the output";
  if (quiet(s) && s.sum.sum != IN) return "all is loaded, but the sum is not right";
  return nullptr;
}

int main(int argc, char** argv) {
  const Cfg all[] = {
      {.name = "T1 mutation: repeats of the transformer kept",
       .expect_ok = false,
       .gens = 2,
       .keep_repeats = true},
      {.name = "T2 mutation: position without the input offset",
       .expect_ok = false,
       .gens = 2,
       .position_alone = true},
      {.name = "T3 mutation: committed before the acknowledgement",
       .expect_ok = false,
       .gens = 1,
       .commit_early = true},
      {.name = "T4 mutation: two appends in flight", .expect_ok = false, .gens = 1, .two_in_flight = true},
      {.name = "T5 mutation: position before the sums",
       .expect_ok = false,
       .gens = 1,
       .position_early = true},
      {.name = "T6 two transformers, two sinks", .expect_ok = true, .gens = 2},
      {.name = "T7 three transformers, two sinks", .expect_ok = true, .gens = 3},
  };
  int bad = 0;
  const size_t cap = argc > 2 ? strtoull(argv[2], nullptr, 10) : 60'000'000;
  for (const Cfg& x : all)
    if (argc < 2 || strstr(x.name, argv[1])) {
      c = x;
      S s;
      memset(&s, 0, sizeof s);
      s.in = -1;
      bad += mc::report(x.name,
                        mc::explore(s, [](const S& z, auto e) { next(z, e); }, inv, quiet, cap), x.expect_ok);
    }
  return bad;
}
