// The alternative: each aggregate row holds the partition's RUNNING SUM and the offset it is true for.
//   cube: ReplacingMergeTree(as_of_offset) ORDER BY (aggregate key, source_partition); reader: sum over partitions of
//   the newest row. batch: take records X..Y (any Y), read the newest rows of the touched keys, and write,
//   for each key with as_of_offset < Y,
//          sum + (deltas of that key in as_of_offset..Y), as_of_offset = Y.   One part per table, in any order, any of them
//          may be lost.
// A row (key, partition, Y) can only have one value, F(log[0..Y)), so repeats, zombies and half inserts are
// harmless: no token, no KILL, no intent, no fence, no reconcile. A request may vanish at any moment (engine
// crash, reset connection) and may land arbitrarily late; the offset commit may be lost or go back.
#include "log.h"
#include "mc.h"
#ifndef PARTS
#define PARTS 1
#endif
// The K keys stand for K cube parts that land one by one (other tables, or other months of one table). Unit 0
// is the base.
constexpr int P = PARTS, GMAX = 3, R = 3, UNITS = K + 1;  // R = requests in flight at once
struct Cfg {
  const char* name;
  bool expect_ok;
  int parts = 1, gens = 2, timeouts = 1, regress = 0, dedup_w = MAXN, purge = 0, truncate = 0;
  bool wh_pos = false;  // start from the position kept in the warehouse (written when all parts are
                        // acknowledged), not from Kafka's commit
  bool pos_early = false, stale_read = false;  // mutation: the position travels with the base part instead
  bool deadline =
      false;  // an insert carries a deadline by the server's clock, taken when the position was read
  bool landed = false;  // purge waits until the tombstone has been in the table longer than the deadline
  // mutations that must fail (they show that the model can see the faults)
  bool no_skip = false, no_version = false, early_commit = false;
  Log log[P];
};
enum Pc : uint8_t { UNUSED, INIT, READ, SEND, WAIT, COMMIT, IDLE, DEAD };
struct Row {
  uint8_t as_of_offset;
  int8_t sum;
};
struct Task {
  uint8_t pc, x, y, rd, lo, stale;
  Row row[K];
};
struct Req {
  uint8_t live, p, gen, x, y, wr, attached, has;
  Row row[K];
  bool operator<(const Req& o) const { return memcmp(this, &o, sizeof *this) < 0; }
};
struct S {
  uint8_t gen[P], cx[P], lo[P];
  Task t[P][GMAX + 1];
  Req q[R];
  uint8_t base[P];
  uint8_t pos[P];
  Row cube[P][K];
  uint8_t dead, aged, timeouts, regress, clash;
};
static Cfg c;
static void norm(S& s) {
  for (int i = 1; i < R; i++)
    for (int j = i; j && s.q[j] < s.q[j - 1]; j--) std::swap(s.q[j], s.q[j - 1]);
}
static const Rec* newest(const S& s, int o) {
  const Rec* b = nullptr;
  for (int p = 0; p < c.parts; p++)
    for (int j = 0; j < c.log[p].n; j++)
      if (s.base[p] >> j & 1 && c.log[p].r[j].order == o && (!b || c.log[p].r[j].version > b->version))
        b = &c.log[p].r[j];
  return b;
}
template <class E>
static void next(const S& s, E emit) {
  auto put = [&](S t, auto label) {
    norm(t);
    emit(t, label);
  };
  for (int p = 0; p < c.parts; p++) {
    const Log& L = c.log[p];
    if (s.gen[p] < c.gens) {
      S t = s;
      t.gen[p]++;
      t.t[p][t.gen[p]].pc = INIT;
      put(t, [=] { return mc::fmt("rebalance: p{} now belongs to generation {}", p, (int)t.gen[p]); });
    }
    if (s.regress < c.regress)
      for (int x = 0; x < s.cx[p]; x++) {
        S t = s;
        t.regress++;
        t.cx[p] = x;
        put(t, [=] { return mc::fmt("Kafka: committed offset of p{} goes back to {}", p, x); });
      }
    if (c.truncate && s.lo[p] < s.cx[p]) {
      S t = s;
      t.lo[p]++;
      put(t, [=] { return mc::fmt("retention: log of p{} now starts at {}", p, (int)t.lo[p]); });
    }
    for (int g = 1; g <= s.gen[p]; g++) {
      const Task& a = s.t[p][g];
      S t = s;
      Task& b = t.t[p][g];
      auto say = [=](const char* w) { return mc::fmt("gen {} (p{}): {}", g, p, w); };
      switch (a.pc) {
        case INIT:
        case IDLE: {
          int x = c.wh_pos ? s.pos[p] : s.cx[p];
          if (a.pc == IDLE) break;
          b.x = b.y = x;
          b.lo = s.lo[p];
          b.stale = 0;
          if (x == L.n) {
            b.pc = IDLE;
            put(t, [=] { return say("nothing left"); });
            break;
          }
          for (int y = x + 1; y <= L.n; y++) {
            S u = t;
            u.t[p][g].y = y;
            u.t[p][g].rd = 0;
            u.t[p][g].pc = READ;
            put(u, [=] { return mc::fmt("gen {} (p{}): takes {}..{}", g, p, x, y); });
          }
          break;
        }
        case READ: {
          if (c.stale_read && s.cube[p][a.rd].as_of_offset) {
            S u = s;
            Task& z = u.t[p][g];
            z.row[a.rd] = {0, 0};
            if (++z.rd == K) z.pc = SEND;
            put(u, [=] { return say("reads a replica that lags: no row"); });
          }
          int k = a.rd;
          b.row[k] = s.cube[p][k];
          if (++b.rd == K) b.pc = SEND;
          put(t, [=] { return mc::fmt("gen {} (p{}): reads the newest row of key {}", g, p, k); });
          break;
        }
        case SEND: {
          if (c.deadline && a.stale) {
            b.pc = INIT;
            memset(b.row, 0, sizeof b.row);
            put(t, [=] { return say("is refused: deadline passed, starts again"); });
            break;
          }
          for (auto& q : t.q)
            if (!q.live) {
              memset(&q, 0, sizeof q);
              q.live = 1;
              q.p = p;
              q.gen = g;
              q.x = a.x;
              q.y = a.y;
              q.attached = 1;
              for (int k = 0; k < K; k++) {
                Row o = a.row[k];
                int sum = o.sum;
                bool touch = false;
                for (int j = a.x; j < a.y; j++)
                  if (c.no_skip || j >= o.as_of_offset) {
                    int d[K];
                    L.delta(j, c.dedup_w, d, a.lo);
                    bool hit = L.r[j].before_key == k || L.r[j].after_key == k;
                    touch |= hit;
                    sum += d[k];
                  }
                if (touch) {
                  q.has |= 1 << k;
                  q.row[k] = {a.y, (int8_t)sum};
                } else
                  q.wr |= 2 << k;
              }
              b.pc = c.early_commit ? COMMIT : WAIT;
              b.rd = 0;
              memset(b.row, 0, sizeof b.row);
              put(t, [=] { return say("sends rows to base and cubes"); });
              break;
            }
          break;
        }
        case WAIT: {
          const Req* m = nullptr;
          for (auto& q : s.q)
            if (q.live && q.attached && q.p == p && q.gen == g) m = &q;
          auto restart = [&](const char* w) {
            b.pc = INIT;
            b.x = b.y = b.lo = b.stale = 0;
            put(t, [=] { return say(w); });
          };
          if (!m) {
            if (!c.wh_pos) {
              b.pc = READ;
              b.rd = 0;
              put(t, [=] { return say("sees an error, reads again"); });
            } else
              restart("sees an error, starts again");
            break;
          }
          if (m->wr == (1 << UNITS) - 1) {
            for (auto& q : t.q)
              if (q.live && q.attached && q.p == p && q.gen == g) memset(&q, 0, sizeof q);
            b.pc = COMMIT;
            put(t, [=] { return say("gets all answers"); });
          } else if (s.timeouts < c.timeouts) {
            t.timeouts++;
            for (auto& q : t.q)
              if (q.live && q.attached && q.p == p && q.gen == g) q.attached = 0;
            if (c.wh_pos)
              restart("times out, starts again");
            else
              for (int y = a.x + 1; y <= L.n; y++) {
                S u = t;
                u.t[p][g].pc = READ;
                u.t[p][g].rd = 0;
                u.t[p][g].y = y;
                put(u, [=] { return mc::fmt("gen {} (p{}): times out, tries {}..{}", g, p, (int)a.x, y); });
              }
          }
          break;
        }
        case COMMIT:
          if (s.pos[p] < a.y) {
            t.pos[p] = a.y;
            put(t, [=] { return say("writes its position to the warehouse"); });
            break;
          }
          if (s.gen[p] != g) {
            memset(&b, 0, sizeof b);
            b.pc = DEAD;
            put(t, [=] { return say("commit refused (old generation), stops"); });
          } else {
            t.cx[p] = a.y;
            memset(&b, 0, sizeof b);
            b.pc = INIT;
            put(t, [=] { return say("commits the offset"); });
          }
          break;
        default:
          break;
      }
    }
  }
  for (int i = 0; i < R; i++)
    if (s.q[i].live) {
      const Req& q = s.q[i];
      auto id = mc::fmt("gen {} p{} {}..{}", (int)q.gen, (int)q.p, (int)q.x, (int)q.y);
      if (q.wr != (1 << UNITS) - 1) {
        S t = s;
        memset(&t.q[i], 0, sizeof(Req));
        put(t, [=] { return "engine: the insert of " + id + " vanishes"; });
      }
      for (int tb = 0; tb < UNITS; tb++)
        if (!(q.wr >> tb & 1)) {
          S t = s;
          Req& r = t.q[i];
          int p = q.p;
          r.wr |= 1 << tb;
          if (tb == 0)
            for (int j = q.x; j < q.y; j++) {
              t.base[p] |= 1 << j;
              if (c.log[p].r[j].after_key < 0) t.dead |= 1 << c.log[p].r[j].order;
            }
          else if (int k = tb - 1; q.has >> k & 1) {
            Row n = q.row[k];
            Row& o = t.cube[p][k];
            if (n.as_of_offset > o.as_of_offset || c.no_version)
              o = n;
            else if (n.as_of_offset == o.as_of_offset && n.sum != o.sum)
              t.clash = 1;
          }
          if (tb == 0 && c.pos_early) t.pos[p] = std::max(t.pos[p], q.y);
          if (r.wr == (1 << UNITS) - 1 && !r.attached) memset(&r, 0, sizeof r);
          put(t, [=] {
            return mc::fmt("engine: the insert of {} lands in {}", id,
                           tb ? (tb == 1 ? "cube part PENDING" : "cube part SHIPPED") : "base");
          });
        }
    }
  if (c.purge) {  // "aged": the deleted order's seven days are over, and (if landed) its tombstone is older
                  // than any deadline given before it landed
    bool tomb = false;
    for (int o = 1; o <= 3; o++) tomb |= s.dead >> o & 1;
    bool applied = true;
    if (c.landed)
      for (int p = 0; p < c.parts; p++)
        for (int j = 0; j < c.log[p].n; j++)
          if (c.log[p].r[j].after_key < 0) applied &= s.pos[p] > j;
    if (!s.aged && tomb && applied) {
      S t = s;
      t.aged = 1;
      if (c.deadline && c.landed) {
        for (auto& q : t.q)
          if (q.live && q.wr != (1 << UNITS) - 1) memset(&q, 0, sizeof q);
        for (int p = 0; p < c.parts; p++)
          for (int g = 1; g <= s.gen[p]; g++) {
            auto pc = t.t[p][g].pc;
            if (pc == READ || pc == SEND) t.t[p][g].stale = 1;
          }
      }
      put(t, [=] { return std::string("time passes: the tombstone is due for purge"); });
    }
    if (s.aged)
      for (int p = 0; p < c.parts; p++)
        for (int j = 0; j < c.log[p].n; j++)
          if (s.base[p] >> j & 1 && c.log[p].r[j].after_key < 0) {
            S t = s;
            int old = 0;
            for (int i = 0; i < c.log[p].n; i++)
              if (i != j && c.log[p].r[i].order == c.log[p].r[j].order) old |= 1 << i;
            bool first = s.base[p] & old;
            if (first)
              t.base[p] &= ~old;
            else
              t.base[p] &= ~(1 << j);
            put(t, [=] {
              return mc::fmt("purge of order {}: {}", c.log[p].r[j].order,
                             first ? "old versions" : "tombstone");
            });
          }
  }
}
static bool quiet(const S& s) {
  for (auto& q : s.q)
    if (q.live) return false;
  for (int p = 0; p < c.parts; p++)
    if (!s.gen[p] || s.t[p][s.gen[p]].pc != IDLE) return false;
  return true;
}
static const char* inv(const S& s) {
  static char m[160];
  if (s.clash) return "two different values for one (key, partition, offset)";
  for (int p = 0; p < c.parts; p++)
    for (int k = 0; k < K; k++) {
      Row r = s.cube[p][k];
      int f[K];
      c.log[p].truth(f, r.as_of_offset);  // in EVERY state, not only at rest
      if (r.sum != f[k]) {
        snprintf(m, sizeof m, "cube key %s of p%d says %d up to %d, truth %d", k ? "SHIPPED" : "PENDING", p,
                 r.sum, r.as_of_offset, f[k]);
        return m;
      }
    }
  for (int o = 1; o <= 3; o++)
    if (s.dead >> o & 1) {
      auto b = newest(s, o);
      if (b && b->after_key >= 0) return "resurrection: a deleted order is visible again";
    }
  if (!quiet(s)) return nullptr;
  int all[K] = {}, sum[K] = {}, base[K] = {};
  for (int p = 0; p < c.parts; p++) {
    int f[K];
    c.log[p].truth(f);
    for (int k = 0; k < K; k++) {
      all[k] += f[k];
      sum[k] += s.cube[p][k].sum;
    }
  }
  for (int o = 1; o <= 3; o++) {
    auto b = newest(s, o);
    if (b && b->after_key >= 0) base[b->after_key] += b->amount;
  }
  for (int k = 0; k < K; k++) {
    if (sum[k] != all[k]) {
      snprintf(m, sizeof m, "quiescent, but cube key %d holds %d, truth %d", k, sum[k], all[k]);
      return m;
    }
    if (base[k] != all[k]) return "quiescent, but the base table is wrong";
  }
  return nullptr;
}
int main(int argc, char** argv) {
  Log l1{3, {C(1, 1, 1, 1), U(2, 1, 2, 1), C(3, 2, 1, 10)}},
      l2{5, {C(1, 1, 1, 1), C(2, 2, 1, 10), U(3, 1, 2, 1), C(1, 1, 1, 1), D(4, 1, 3, 1, 1)}},
      l4{4, {C(1, 1, 1, 1), U(2, 1, 2, 1), C(3, 2, 1, 10), D(4, 1, 3, 1, 1)}};
  Log a2{2, {C(1, 1, 1, 1), U(3, 1, 2, 1)}}, b1{1, {C(2, 2, 1, 10)}}, d{2, {C(1, 1, 1, 1), D(2, 1, 2, 1, 0)}},
      rep{3, {C(1, 1, 1, 1), C(2, 2, 1, 10), C(1, 1, 1, 1)}};
  Log reord{
      4,
      {U(2, 1, 2, 1), C(1, 1, 1, 1), D(4, 1, 3, 1, 1), C(1, 1, 1, 1)}};  // later version first, and a repeat
  auto mk = [](Cfg x, Log p0, Log p1 = {}) {
    x.log[0] = p0;
    if (P > 1) x.log[P - 1] = p1;
    return x;
  };
  std::vector<Cfg> all;
  all.push_back(
      mk({.name = "M1 mutation: add without the skip rule", .expect_ok = false, .no_skip = true}, l1));
  all.push_back(
      mk({.name = "M2 mutation: last writer wins, no version", .expect_ok = false, .no_version = true}, l1));
  all.push_back(mk(
      {.name = "M3 mutation: offset committed before the answer", .expect_ok = false, .early_commit = true},
      l1));
  all.push_back(
      mk({.name = "M4 retention cuts the dedup window", .expect_ok = false, .gens = 2, .truncate = 1}, rep));
  all.push_back(mk(
      {.name = "M5 repeat farther away than W", .expect_ok = false, .gens = 1, .timeouts = 0, .dedup_w = 1},
      rep));
  all.push_back(mk({.name = "M6 purge while an old insert is out", .expect_ok = false, .purge = 1}, d));
  all.push_back(mk({.name = "M7 purge, deadline, but Kafka's position only",
                    .expect_ok = false,
                    .purge = 1,
                    .deadline = true,
                    .landed = true},
                   d));
  all.push_back(mk(
      {.name = "M8 purge, warehouse position, no deadline", .expect_ok = false, .purge = 1, .wh_pos = true},
      d));
  all.push_back(mk({.name = "M9 mutation: the position travels with one part",
                    .expect_ok = false,
                    .wh_pos = true,
                    .pos_early = true},
                   l1));
  all.push_back(mk({.name = "M10 mutation: reads may lag behind acknowledged writes",
                    .expect_ok = false,
                    .gens = 1,
                    .timeouts = 0,
                    .stale_read = true},
                   l1));
  all.push_back(mk({.name = "C1 3 events of 2 orders", .expect_ok = true, .gens = 2, .timeouts = 1}, l1));
  all.push_back(mk({.name = "C2 3 owners", .expect_ok = true, .gens = 3, .timeouts = 1}, a2));
  all.push_back(mk(
      {.name = "C3 4 events, create-update-create-delete", .expect_ok = true, .gens = 2, .timeouts = 1}, l4));
  all.push_back(
      mk({.name = "C4 reordered versions and a repeat", .expect_ok = true, .gens = 2, .timeouts = 0}, reord));
  all.push_back(mk({.name = "C5 5 records with a repeat", .expect_ok = true, .gens = 2, .timeouts = 0}, l2));
  all.push_back(mk({.name = "C6 committed offset goes back twice",
                    .expect_ok = true,
                    .gens = 2,
                    .timeouts = 1,
                    .regress = 2},
                   l1));
  all.push_back(mk(
      {.name = "C7 position from the warehouse", .expect_ok = true, .gens = 2, .timeouts = 1, .wh_pos = true},
      l1));
  all.push_back(mk({.name = "C8 purge: wh position + deadline + landed",
                    .expect_ok = true,
                    .gens = 2,
                    .timeouts = 1,
                    .purge = 1,
                    .wh_pos = true,
                    .deadline = true,
                    .landed = true},
                   d));
  all.push_back(mk({.name = "C8' same, 4 events",
                    .expect_ok = true,
                    .gens = 2,
                    .timeouts = 1,
                    .purge = 1,
                    .wh_pos = true,
                    .deadline = true,
                    .landed = true},
                   l4));
  if (P > 1)
    all.push_back(
        mk({.name = "C9 two partitions, same keys", .expect_ok = true, .parts = 2, .gens = 2, .timeouts = 0},
           a2, b1));
  int bad = 0;
  size_t cap = argc > 2 ? strtoull(argv[2], 0, 10) : 60'000'000;
  for (auto& x : all)
    if (argc < 2 || strstr(x.name, argv[1])) {
      c = x;
      S s;
      memset(&s, 0, sizeof s);
      auto r = mc::explore(
          s, [](const S& z, auto e) { next(z, e); }, inv, quiet, cap, x.expect_ok && getenv("LIVE"));
      bad += mc::report(x.name, r, x.expect_ok);
    }
  return bad;
}
