// The purge of a deleted order beside sinks that read the log again from anywhere (docs/specs/purge.md). One
// order, its row C and the tombstone D, both in the base table; its seven days are over. Time is a small
// number: an insert is refused after not_after = 1 later than it was taken, a statement that was let in is
// done or dead 1 later, the announcement too.
#include "mc.h"

constexpr int C = 1, D = 2, INSERTS = 2, PURGERS = 2, TIME = 7;
constexpr int kInsert = 1, kStatement = 1;
constexpr int kWait = kInsert + 2 * kStatement + 1;
struct Cfg {
  const char* name;
  bool expect_ok;
  int wait = kWait;
  bool no_not_after = false;     // mutation: an insert lives as long as it likes
  bool no_look_up = false;       // mutation: the sink does not ask for announced orders
  bool look_up_first = false;    // mutation: asks, and takes not_after then
  bool tombstone_first = false;  // mutation
  bool not_waited_for = false;   // mutation: the tombstone goes before the older rows are known to be gone
  bool ttl = false;  // a TTL clause: the engine drops the tombstone, at any time after the seven days
};
struct Insert {  // st: 0 none, 1 began, 2 has one of not_after and look-up, 3 has both, 4 let in
  uint8_t st, rows, not_after, until;
};
struct Purger {  // pc: 0 looks, 1 announces, 2 deletes the older rows, 3 deletes the tombstone
  uint8_t pc, stamp, done;
};
struct S {
  uint8_t now, base, announced, stamp;
  uint8_t late;  // mutations that nobody waits for: bit 0 the older rows, bit 1 the tombstone
  Insert i[INSERTS];
  Purger p[PURGERS];
};
static Cfg c;

template <class E>
static void next(const S& s, E emit_as_it_is) {
  // Sinks and purges are alike: who is which makes no new state.
  const auto emit = [&](S t, auto label) {
    if (memcmp(&t.i[0], &t.i[1], sizeof(Insert)) > 0) std::swap(t.i[0], t.i[1]);
    if (memcmp(&t.p[0], &t.p[1], sizeof(Purger)) > 0) std::swap(t.p[0], t.p[1]);
    emit_as_it_is(t, label);
  };
  if (s.now < TIME) {
    S t = s;
    t.now++;
    emit(t, [] { return std::string("time passes"); });
  }
  for (int k = 0; k < INSERTS; k++) {
    const Insert& a = s.i[k];
    S t = s;
    Insert& b = t.i[k];
    const auto take = [&](int st) {
      b.not_after = c.no_not_after ? 255 : s.now + kInsert, b.st = st;
      emit(t, [=] { return mc::fmt("sink {} takes not_after {}", k, s.now + kInsert); });
    };
    const auto look = [&](int st) {
      b.st = st;
      if (s.announced && !c.no_look_up) b.rows = 0;
      if (!b.rows) memset(&b, 0, sizeof b);
      emit(t, [=] {
        return mc::fmt("sink {} looks up: the order is {}announced", k, s.announced ? "" : "not ");
      });
    };
    switch (a.st) {
      case 0:
        for (int rows : {C, D, C | D}) {
          S u = s;
          u.i[k].st = 1, u.i[k].rows = rows;
          emit(u, [=] { return mc::fmt("sink {} reads {}{}", k, rows & C ? "C" : "", rows & D ? "D" : ""); });
        }
        break;
      case 1:
        c.look_up_first ? look(2) : take(2);
        break;
      case 2:
        c.look_up_first ? take(3) : look(3);
        break;
      case 3:
        if (s.now <= a.not_after) {
          b.st = 4, b.until = c.no_not_after ? 255 : s.now + kStatement;
          emit(t, [=] { return mc::fmt("engine lets the insert of sink {} in", k); });
        } else {
          memset(&b, 0, sizeof b);
          emit(t, [=] { return mc::fmt("engine refuses the insert of sink {}", k); });
        }
        break;
      default:
        if (s.now <= a.until) {
          t.base |= a.rows;
          memset(&b, 0, sizeof b);
          emit(t, [=] { return mc::fmt("the insert of sink {} is done", k); });
        } else {
          memset(&b, 0, sizeof b);
          emit(t, [=] { return mc::fmt("engine ends the insert of sink {}", k); });
        }
    }
    if (a.st >= 3) {
      S u = s;
      memset(&u.i[k], 0, sizeof(Insert));
      emit(u, [=] { return mc::fmt("sink {} is gone", k); });
    }
  }
  if (c.ttl && s.base & D) {
    S t = s;
    t.base &= ~D;
    emit(t, [] { return std::string("a merge drops the expired tombstone"); });
  }
  if (c.ttl) return;
  for (int k = 0; k < PURGERS; k++) {
    const Purger& a = s.p[k];
    S t = s;
    Purger& b = t.p[k];
    const bool tombstone = s.base & D;
    switch (a.pc) {
      case 0:
        if (tombstone && !s.announced) {
          b.pc = 1, b.stamp = s.now;
          emit(t, [=] { return mc::fmt("purge {} announces, stamped {}", k, (int)s.now); });
        }
        if (tombstone && s.announced && s.stamp + c.wait <= s.now) {
          b.pc = 2;
          emit(t, [=] { return mc::fmt("purge {} finds the order announced long enough ago", k); });
        }
        break;
      case 1:
        if (s.now <= a.stamp + kStatement) {
          t.announced = 1, t.stamp = a.stamp;
          emit(t, [=] { return mc::fmt("the announcement of purge {} is there", k); });
        }
        break;
      case 2:
      case 3: {
        const bool older = (a.pc == 2) != c.tombstone_first;
        if (!a.done) {
          t.base &= older ? ~C : ~D;
          b.done = 1;
          emit(t, [=] {
            return mc::fmt("purge {}: {} gone", k, older ? "the older rows are" : "the tombstone is");
          });
          if (c.not_waited_for && a.pc == 2) {
            S u = s;
            u.late |= 1, u.p[k].pc = 3;
            emit(u, [=] { return mc::fmt("purge {} does not wait for the older rows", k); });
          }
        } else {
          b.done = 0, b.pc = a.pc == 2 ? 3 : 0;
          emit(t, [=] { return mc::fmt("purge {} goes on", k); });
        }
        break;
      }
      default:
        break;
    }
    if (a.pc) {
      S u = s;
      memset(&u.p[k], 0, sizeof(Purger));
      emit(u, [=] { return mc::fmt("purge {} is cut short", k); });
      if (a.pc >= 2 && !a.done) {
        u.late |= ((a.pc == 2) != c.tombstone_first) ? 1 : 2;
        emit(u, [=] { return mc::fmt("purge {} is cut short, its mutation goes on in the engine", k); });
      }
    }
  }
  for (int bit : {1, 2})
    if (s.late & bit) {
      S t = s;
      t.late &= ~bit;
      t.base &= bit == 1 ? ~C : ~D;
      emit(t, [=] {
        return mc::fmt("a mutation that nobody waits for: {} gone",
                       bit == 1 ? "the older rows are" : "the tombstone is");
      });
    }
}

static bool quiet(const S& s) {
  return !s.base;
}

static const char* inv(const S& s) {
  if (!(s.base & D) && s.base & C) return "resurrection: the deleted order is visible again";
  return nullptr;
}

int main(int argc, char** argv) {
  const Cfg all[] = {
      {.name = "P1 a TTL clause on the tombstone", .expect_ok = false, .ttl = true},
      {.name = "P2 mutation: no wait for inserts under way", .expect_ok = false, .wait = 0},
      {.name = "P3 mutation: waits for the insert, not for the statements",
       .expect_ok = false,
       .wait = kInsert + 1},
      {.name = "P4 mutation: inserts without not_after", .expect_ok = false, .no_not_after = true},
      {.name = "P5 mutation: sink does not look up", .expect_ok = false, .no_look_up = true},
      {.name = "P6 mutation: looks up first, takes not_after then",
       .expect_ok = false,
       .look_up_first = true},
      {.name = "P7 mutation: tombstone before the older rows", .expect_ok = false, .tombstone_first = true},
      {.name = "P8 mutation: older rows not waited for", .expect_ok = false, .not_waited_for = true},
      {.name = "P9 announce, wait, older rows, tombstone", .expect_ok = true},
  };
  int bad = 0;
  const size_t cap = argc > 2 ? strtoull(argv[2], nullptr, 10) : 60'000'000;
  for (const Cfg& x : all)
    if (argc < 2 || strstr(x.name, argv[1])) {
      c = x;
      S s;
      memset(&s, 0, sizeof s);
      s.base = C | D;
      bad += mc::report(x.name,
                        mc::explore(s, [](const S& z, auto e) { next(z, e); }, inv, quiet, cap), x.expect_ok);
    }
  return bad;
}
