#!/usr/bin/env python3
"""Reads the #include lines under src/ and fails on a dependency between modules that is not allowed.

Usage: includes.py REPOSITORY

A module is a folder under src/ (under src/adapters/, each folder is one). ARCHITECTURE.md draws the dependencies and says why.
"""
import re
import sys
from pathlib import Path

FOUNDATION = {"ports", "domain", "telemetry", "base"}
STAGES = {"ordering", "relay", "transform", "sink", "purge", "analytics", "verify"}
ADAPTERS = {"adapters/" + name for name in ("clickhouse", "curl", "http", "kafka", "memory", "mysql", "otlp", "rocksdb", "system")}

# Module -> the other modules that it may include. A module that is not here is refused: whoever adds one decides its dependencies.
ALLOWED = {
    "base": set(),
    "web": {"base"},
    "domain": {"base"},
    "ports": {"domain", "base"},
    "telemetry": {"base"},
    **{stage: FOUNDATION for stage in STAGES},
    "consumer": {"ports", "base"},
    "transform": {"consumer"} | FOUNDATION,
    "sink": {"consumer"} | FOUNDATION,
    "jobs": {"ports", "base"},
    # A rebuild fills tables by the sink's own rule for sums: written a second time, it would one day be another.
    "rebuild": {"sink", "consumer", "jobs"} | FOUNDATION,
    **{adapter: FOUNDATION for adapter in ADAPTERS},
    "adapters/http": {"web"} | FOUNDATION,
    "dead_letters": FOUNDATION,
    "connect": {"web", "ports", "base"},
    "inspect": {"ports", "base"},
    "api": STAGES | {"inspect", "jobs", "dead_letters", "web"} | FOUNDATION,
    "tools": {"ordering"} | FOUNDATION,
    "confinement": {"base"},
    "privileges": {"base"},
    "supervise": {"confinement"} | FOUNDATION,
    "warehouse": {"confinement", "web", "base"},
}
ALLOWED["app"] = set(ALLOWED)

# Header (a regular expression on what stands between the brackets) -> the modules that may name its vendor.
NETWORK_MODULES = {"adapters/http", "warehouse"}
PROCESS_MODULES = {"adapters/system", "confinement", "privileges", "supervise", "warehouse", "app"}
VENDORS = [
    (r"mysql\.h|mysql/.*|mariadb/.*|errmsg\.h|mysqld_error\.h", {"adapters/mysql"}),
    (r"prometheus/.*", {"telemetry"}),
    (r"rocksdb/.*", {"adapters/rocksdb"}),
    (r"librdkafka/.*", {"adapters/kafka"}),
    (r"curl/.*", {"adapters/curl"}),
    (r"chdb.*|dlfcn\.h", {"warehouse"}),
    (r"boost/(asio|beast)(/.*|\.hpp)", NETWORK_MODULES),
    (r"toml\+\+/.*|toml\.hpp", {"app"}),
    (r"linux/landlock\.h|seccomp\.h", {"confinement"}),
    (r"CLI/.*", {"app", "warehouse"}),
    (r"c?signal(\.h)?|sys/(wait|prctl|signalfd)\.h|spawn\.h", PROCESS_MODULES),
    (r"sys/socket\.h|netinet/.*|arpa/.*|netdb\.h|sys/un\.h", NETWORK_MODULES | {"adapters/kafka", "adapters/mysql", "supervise"}),
]

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')


def module_of(path):
    """The module of a path below src/, or None: 'adapters/mysql/pool.h' -> 'adapters/mysql'."""
    parts = Path(path).parts
    if parts[0] == "adapters":
        return "/".join(parts[:2]) if len(parts) > 2 else None
    return parts[0] if len(parts) > 1 else None


def problems_of(source):
    """Yields 'file:line: what is wrong' for every forbidden include under `source`, the src folder."""
    for path in sorted(source.rglob("*")):
        if path.suffix not in (".h", ".cpp"):
            continue
        inside = path.relative_to(source)
        module = module_of(inside)
        if module not in ALLOWED:
            yield f"src/{inside}: the module '{module}' is not in the list of modules (tests/check/includes.py)"
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            where = f"src/{inside}:{number}"
            quoted, angled = match.groups()
            if quoted is not None:
                if not (source / quoted).is_file():
                    yield f'{where}: "{quoted}" is not a file under src/ (name it from there, or use <…> for what is not ours)'
                    continue
                other = module_of(quoted)
                if other != module and other not in ALLOWED[module]:
                    yield f"{where}: {module} may not include {other} ({quoted})"
            else:
                for pattern, modules in VENDORS:
                    if re.fullmatch(pattern, angled) and module not in modules:
                        yield f"{where}: <{angled}> belongs in {', '.join(sorted(modules))} alone, not in {module}"


def main():
    source = Path(sys.argv[1]) / "src"
    if not source.is_dir():
        sys.exit(f"includes: {source} is not a folder")
    problems = list(problems_of(source))
    for problem in problems:
        print(problem)
    if problems:
        sys.exit(f"includes: {len(problems)} forbidden")
    print("includes: every dependency is allowed")


if __name__ == "__main__":
    main()
