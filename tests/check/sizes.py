#!/usr/bin/env python3
"""Fails on a source file above 500 lines and on a function above 80 lines under src/.

Usage: sizes.py REPOSITORY

A file or a function that must be longer is listed in EXCEPTIONS with the reason.
"""
import re
import sys
from pathlib import Path

FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 80

# "src/path.cpp" or "src/path.cpp:function" -> why it is longer.
EXCEPTIONS = {}

NOISE = re.compile(r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)\'', re.DOTALL)
CONTAINER = re.compile(r"\b(namespace|class|struct|union|enum)\b[^;()]*$|\bextern\s*$|=\s*$|^\s*$")
NAME = re.compile(r"([\w:~]+(?:\s*operator[^\s(]*)?)\s*\(")


def without_noise(text):
    """Comments and literals blanked, lines kept."""
    return NOISE.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)


def functions_of(text):
    """(name, first line, lines) of every function body that does not stand within another."""
    text = without_noise(text)
    inside = None  # the depth and the start of the function that we are in
    depth = 0
    head_start = 0
    for position, char in enumerate(text):
        if char == "{":
            head = text[head_start:position]
            if inside is None and not CONTAINER.search(head) and "(" in head:
                name = NAME.search(head)
                start = head_start + len(head) - len(head.lstrip())
                inside = depth, start, name.group(1) if name else "?"
            depth += 1
            if inside is None:
                head_start = position + 1
        elif char == "}":
            depth -= 1
            if inside is not None and depth == inside[0]:
                _, start, name = inside
                yield name, text.count("\n", 0, start) + 1, text.count("\n", start, position) + 1
                inside = None
            if inside is None:
                head_start = position + 1
        elif char == ";" and inside is None:
            head_start = position + 1


def problems(repository):
    used = set()

    def excused(key):
        used.add(key)
        return key in EXCEPTIONS

    for path in sorted((repository / "src").rglob("*")):
        if path.suffix not in (".cpp", ".h"):
            continue
        inside = path.relative_to(repository).as_posix()
        text = path.read_text()
        lines = text.count("\n")
        if lines > FILE_LINES_MAX and not excused(inside):
            yield f"{inside}: {lines} lines; a file has at most {FILE_LINES_MAX}"
        for name, first, length in functions_of(text):
            if length > FUNCTION_LINES_MAX and not excused(f"{inside}:{name}"):
                yield f"{inside}:{first}: {name} has {length} lines; a function has at most {FUNCTION_LINES_MAX}"
    for key in EXCEPTIONS.keys() - used:
        yield f"tests/check/sizes.py: {key} needs no exception any more"


def main():
    found = list(problems(Path(sys.argv[1])))
    for problem in found:
        print(problem)
    print(f"sizes: {len(found)} to put right" if found else "sizes: every file and function is short enough")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
