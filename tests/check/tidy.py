#!/usr/bin/env python3
"""House rules that a compiler does not know, checked over every text file of the repository.

Usage: tidy.py REPOSITORY
"""
import re
import subprocess
import sys
from pathlib import Path

TEXT_SUFFIXES = {".h", ".cpp", ".py", ".sh", ".md", ".txt", ".cmake", ".sql", ".toml", ".json", ".yml", ".yaml", ".test", ""}
SKIPPED_FOLDERS = {".git", "build", "data", ".cache", "__pycache__"}
# Golden samples are bytes as they travel: no end of line, no house rules.
SKIPPED_PATHS = re.compile(r"schema/events/.*\.json|LICENSE|bench/results/.*|tests/fuzz/seeds/.*")

# Each rule: what it is called, which files (by a regular expression on the path), what must not be in a line.
LINE_RULES = [
    ("unfinished work belongs in an issue", r".*", re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")),
    ("a tab", r"(?!(.*/)?Makefile$|.*\.mk$).*", re.compile(r"\t")),
    ("spaces at the end of the line", r".*", re.compile(r"[ \r]$")),
    ("a path of one machine", r".*",
     re.compile(r"""(?:^|[\s"'`(=:])/(home|root|Users|work|workspace|tmp|opt|mnt)(/|\b)""")),
    ("using namespace std", r".*\.(h|cpp)", re.compile(r"\busing\s+namespace\s+std\s*;")),
    ("a skipped test", r"tests/.*\.cpp", re.compile(r"\bDISABLED_\w")),
    ("a fixed sleep in a test (wait for a condition with a deadline)", r"tests/unit/.*\.cpp",
     re.compile(r"\bsleep_(for|until)\s*\(")),
]
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)")


def files_of(repository):
    """Paths below the repository: what git knows or would add; without git, everything but what is built."""
    listing = subprocess.run(["git", "-C", str(repository), "ls-files", "-co", "--exclude-standard", "-z"],
                             capture_output=True) if (repository / ".git").exists() else None
    if listing and listing.returncode == 0:
        paths = [Path(name) for name in listing.stdout.decode().split("\0") if name]
    else:
        paths = [path.relative_to(repository) for path in repository.rglob("*")]
    return sorted(path for path in set(paths)
                  if (repository / path).is_file() and not (repository / path).is_symlink()
                  and not SKIPPED_FOLDERS & set(path.parts)
                  and path.suffix in TEXT_SUFFIXES and not SKIPPED_PATHS.fullmatch(path.as_posix()))


def problems_of_file(repository, path):
    name = path.as_posix()
    try:
        text = (repository / path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        yield f"{name}: is not UTF-8"
        return
    if text and not text.endswith("\n"):
        yield f"{name}: does not end with a line end"
    if path.suffix == ".h" and "#pragma once" not in text:
        yield f"{name}: a header without #pragma once"
    rules = [(what, pattern) for what, files, pattern in LINE_RULES if re.fullmatch(files, name)]
    for number, line in enumerate(text.split("\n"), 1):
        for what, pattern in rules:
            if pattern.search(line):
                yield f"{name}:{number}: {what}"
        if path.suffix == ".md":
            for target in LINK.findall(line):
                if "://" not in target and not target.startswith("mailto:") and \
                        not (repository / path.parent / target).exists():
                    yield f"{name}:{number}: links to {target}, which is not there"


def problems_of_modules(repository):
    """Every folder under src/ that holds C++ explains itself and is one library or program."""
    source = repository / "src"
    for module in sorted({path.parent for path in source.rglob("*.cpp")}):
        inside = module.relative_to(repository).as_posix()
        # A folder within a module (app/roles) is part of it.
        holders = [folder for folder in (module, *module.parents) if folder != source and source in folder.parents
                   and folder.name != "adapters"]
        for needed in ("README.md", "CMakeLists.txt"):
            if not any((folder / needed).is_file() for folder in holders):
                yield f"{inside}: a module needs a {needed}"


def problems_of(repository):
    for path in files_of(repository):
        yield from problems_of_file(repository, path)
    yield from problems_of_modules(repository)


def main():
    problems = list(problems_of(Path(sys.argv[1])))
    for problem in problems:
        print(problem)
    if problems:
        sys.exit(f"tidy: {len(problems)} things to put right")
    print("tidy: the house rules are kept")


if __name__ == "__main__":
    main()
