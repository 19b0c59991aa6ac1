#!/bin/sh
# Builds the checkers and runs every configuration; exit status 0 only if each expected counterexample is found and each expected
# proof holds within its bounds.
#   ./run.sh quick      the counterexamples and the small proofs, about half a minute
#   ./run.sh            also the large proofs: about a quarter of an hour on one core, up to 12 GiB
# BUILD names a folder for the programs. LIVE=1 makes cumulative also check that a quiescent state stays reachable from every state.
set -e
cd "$(dirname "$0")"
if [ -z "$BUILD" ]; then BUILD=$(mktemp -d); trap 'rm -rf "$BUILD"' EXIT; fi
mkdir -p "$BUILD"
make_one() { # program source flags...
  program="$BUILD/$1"; source="$2"; shift 2
  [ "$program" -nt "$source" ] && [ "$program" -nt mc.h ] && [ "$program" -nt log.h ] || ${CXX:-g++} -O2 -std=c++20 -o "$program" "$@" "$source"
}
make_one relay relay.cpp
make_one transform transform.cpp
make_one purge purge.cpp
make_one rebuild rebuild.cpp
make_one cum1 cumulative.cpp
make_one exchange1 exchange.cpp
make_one exchange2 exchange.cpp -DPROCESSES=2
for m in T1 T2 T3 T4 T5 T6; do "$BUILD/transform" $m; done
"$BUILD/purge"
"$BUILD/exchange1"; "$BUILD/exchange2"
"$BUILD/rebuild"
"$BUILD/cum1" M; for m in C4 C5 "C8 "; do "$BUILD/cum1" "$m"; done
if [ "$1" = quick ]; then
  for m in "U1 " U2 U3 U4 U5 U6 U7 U8 U9 U10 U11 U12 U13 U14 U17 U18 U19 U20 U21 V; do "$BUILD/relay" "$m"; done
  exit 0
fi
"$BUILD/relay"
"$BUILD/transform" T7 60000000
make_one rebuild3 rebuild.cpp -DLOG=3
"$BUILD/rebuild3" G7 60000000
make_one cum2 cumulative.cpp -DPARTS=2
for m in "C1 " C2 C3 C6 C7 "C8'"; do "$BUILD/cum1" "$m" 90000000; done; "$BUILD/cum2" C9 90000000
