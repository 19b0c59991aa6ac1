#!/usr/bin/env python3
"""Compares every C++ file with what the formatter would make of it.

Usage: format.py REPOSITORY [--fix]

The formatter is clang-format of one pinned major version, because each version formats in its own way. Where it is not
installed the check ends with code 77, which CTest shows as skipped.
"""
import re
import shutil
import subprocess
import sys
from pathlib import Path

MAJOR = 19
SKIPPED = 77


def formatter():
    for name in (f"clang-format-{MAJOR}", "clang-format"):
        program = shutil.which(name)
        if program:
            version = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
            if re.search(rf"version {MAJOR}\.", version):
                return program
    return None


def main():
    repository = Path(sys.argv[1])
    program = formatter()
    if program is None:
        print(f"format: clang-format {MAJOR} is not installed (scripts/bootstrap --check installs it)")
        sys.exit(SKIPPED)
    files = sorted(str(path.relative_to(repository)) for folder in ("src", "tests", "bench")
                   for path in (repository / folder).rglob("*") if path.suffix in (".h", ".cpp"))
    fix = "--fix" in sys.argv[2:]
    wrong = []
    # In groups: one process for each file costs more than its work, one for all may exceed the length of a command line.
    for at in range(0, len(files), 100):
        done = subprocess.run([program, *(["-i"] if fix else ["--dry-run"]), *files[at:at + 100]], cwd=repository,
                              capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"format: {done.stderr.strip()}")
        wrong += re.findall(r"^(\S+?):\d+:\d+: warning: code should be clang-formatted", done.stderr, re.MULTILINE)
    if wrong:
        print("\n".join(sorted(set(wrong))))
        sys.exit(f"format: {len(set(wrong))} of {len(files)} files differ from the formatter; run `make format`")
    print(f"format: {len(files)} files are as they should be")


if __name__ == "__main__":
    main()
