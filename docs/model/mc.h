// Explicit-state breadth-first model checker: exact (full states are compared, no fingerprint collisions),
// shortest counterexamples, one thread. S must be trivially copyable and fully zero-initialised (it is
// compared with memcmp).
#pragma once
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <string>
#include <type_traits>
#include <vector>
namespace mc {
inline uint64_t hash(const void* p, size_t n) {  // 8 bytes at a time, splitmix finaliser
  const unsigned char* b = (const unsigned char*)p;
  uint64_t h = 0x9E3779B97F4A7C15ull * (n + 1);
  while (n) {
    uint64_t w = 0;
    size_t k = n < 8 ? n : 8;
    memcpy(&w, b, k);
    b += k;
    n -= k;
    h ^= w;
    h ^= h >> 30;
    h *= 0xBF58476D1CE4E5B9ull;
    h ^= h >> 27;
    h *= 0x94D049BB133111EBull;
    h ^= h >> 31;
  }
  return h;
}
// fmt("{} and {}", a, b): just enough formatting for labels, no library needed.
inline std::string str(const std::string& s) {
  return s;
}
inline std::string str(const char* s) {
  return s;
}
inline std::string str(long long v) {
  return std::to_string(v);
}
inline std::string str(int v) {
  return std::to_string(v);
}
template <class... A>
std::string fmt(const char* f, const A&... a) {
  std::string v[] = {str(a)..., ""}, r;
  size_t i = 0;
  for (; *f; f++)
    if (*f == '{' && f[1] == '}') {
      r += v[i++];
      f++;
    } else
      r += *f;
  return r;
}
struct Result {
  bool ok = true, complete = true;
  size_t states = 0, depth = 0, quiescent = 0;
  std::string why;
  std::vector<std::string> trace;
};
template <class S>
struct Store {  // grows by chunks: no copy of everything when it is large
  static constexpr size_t B = 1 << 18;
  std::vector<std::vector<S>> c;
  size_t n = 0;
  void push_back(const S& s) {
    if (n % B == 0) {
      c.emplace_back();
      c.back().reserve(B);
    }
    c.back().push_back(s);
    n++;
  }
  const S& operator[](size_t i) const { return c[i / B][i % B]; }
  size_t size() const { return n; }
};
// next(s, emit): emit(t, label) for each successor; label is only formatted when a trace is rebuilt (want !=
// nullptr). inv(s): nullptr or the text of the violated invariant. goal(s): true in quiescent states (they
// are counted, and every state must be able to reach one when live is set: the liveness check).
template <class S, class Next, class Inv, class Goal>
Result explore(const S& init, Next next, Inv inv, Goal goal, size_t max_states, bool live = false) {
  static_assert(std::is_trivially_copyable_v<S>);
  Store<S> st;
  std::vector<uint32_t> par;
  std::vector<uint32_t> tab(1u << 20, UINT32_MAX);
  Result r;
  std::vector<std::pair<uint32_t, uint32_t>> edges;
  auto slot = [&](const S& s) {
    size_t m = tab.size() - 1, i = hash(&s, sizeof s) & m;
    while (tab[i] != UINT32_MAX && memcmp(&st[tab[i]], &s, sizeof s)) i = (i + 1) & m;
    return i;
  };
  auto grow = [&] {
    std::vector<uint32_t> o(tab.size() * 2, UINT32_MAX);
    tab.swap(o);
    size_t m = tab.size() - 1;
    for (uint32_t k = 0; k < st.size(); k++) {
      size_t i = hash(&st[k], sizeof(S)) & m;
      while (tab[i] != UINT32_MAX) i = (i + 1) & m;
      tab[i] = k;
    }
  };
  auto add = [&](const S& s, uint32_t p) -> uint32_t {
    size_t i = slot(s);
    if (tab[i] != UINT32_MAX) return tab[i];
    uint32_t id = (uint32_t)st.size();
    tab[i] = id;
    st.push_back(s);
    par.push_back(p);
    if (st.size() * 3 > tab.size() * 2) grow();
    return id;
  };
  auto rebuild = [&](uint32_t k) {
    std::vector<uint32_t> path;
    for (uint32_t i = k; i != UINT32_MAX; i = par[i]) path.push_back(i);
    for (size_t j = path.size(); j-- > 1;) {
      S from = st[path[j]], to = st[path[j - 1]];
      bool found = false;
      next(from, [&](const S& t, auto&& label) {
        if (!found && !memcmp(&t, &to, sizeof t)) {
          found = true;
          r.trace.push_back(label());
        }
      });
    }
  };
  add(init, UINT32_MAX);
  size_t level_end = 1;
  for (uint32_t k = 0; k < st.size(); k++) {
    if (k == level_end) {
      r.depth++;
      level_end = st.size();
    }
    S s = st[k];
    if (const char* w = inv(s)) {
      r.ok = false;
      r.why = w;
      r.states = st.size();
      rebuild(k);
      return r;
    }
    if (goal(s)) r.quiescent++;
    if (st.size() > max_states) {
      r.complete = false;
      break;
    }
    next(s, [&](const S& t, auto&&) {
      uint32_t id = add(t, k);
      if (live) edges.push_back({id, k});
    });
  }
  r.states = st.size();
  if (live && r.complete) {  // backward reachability from the goal states
    std::vector<uint32_t> head(st.size(), UINT32_MAX), nx(edges.size());
    for (uint32_t e = 0; e < edges.size(); e++) {
      nx[e] = head[edges[e].first];
      head[edges[e].first] = e;
    }
    std::vector<char> can(st.size());
    std::deque<uint32_t> q;
    for (uint32_t k = 0; k < st.size(); k++)
      if (goal(st[k])) can[k] = 1, q.push_back(k);
    while (!q.empty()) {
      uint32_t k = q.front();
      q.pop_front();
      for (uint32_t e = head[k]; e != UINT32_MAX; e = nx[e])
        if (!can[edges[e].second]) can[edges[e].second] = 1, q.push_back(edges[e].second);
    }
    for (uint32_t k = 0; k < st.size(); k++)
      if (!can[k]) {
        r.ok = false;
        r.why = "liveness: no quiescent state reachable any more";
        rebuild(k);
        break;
      }
  }
  return r;
}
inline int report(const std::string& name, const Result& r, bool expect_ok) {
  printf("%-46s %s  states=%zu depth=%zu quiescent=%zu%s\n", name.c_str(),
         r.ok ? (r.complete ? "PROVED " : "no CE  ") : "VIOLATED", r.states, r.depth, r.quiescent,
         r.complete ? "" : " (bound hit)");
  if (!r.ok) {
    printf("    %s\n", r.why.c_str());
    int n = 0;
    for (auto& l : r.trace) printf("    %2d. %s\n", ++n, l.c_str());
  }
  fflush(stdout);
  return r.ok == expect_ok ? 0 : 1;
}
}  // namespace mc
