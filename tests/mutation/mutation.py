#!/usr/bin/env python3
"""Bugs that a suite must find.

mutation.py apply PATCH REPOSITORY OUT    writes the one file that PATCH changes, changed, to OUT; if the patch does not fit any more,
                                         the file as it is, and why to OUT.problem
mutation.py expect OUT SAYS PROGRAM ...   runs a program with the bug in it; fails unless the program fails and says SAYS (a regular
                                         expression)
"""
import re
import subprocess
import sys
from pathlib import Path


def hunks_of(patch):
    """The file that a unified diff changes, and for each place what stands there and what shall."""
    lines = patch.splitlines()
    file = next(line[len("--- a/"):] for line in lines if line.startswith("--- a/"))
    hunks = []
    for line in lines[lines.index("--- a/" + file) + 2:]:
        if line.startswith("@@"):
            hunks.append(([], []))
        elif line.startswith("-"):
            hunks[-1][0].append(line[1:])
        elif line.startswith("+"):
            hunks[-1][1].append(line[1:])
        else:
            for side in hunks[-1]:
                side.append(line[1:])
    return file, [("\n".join(old) + "\n", "\n".join(new) + "\n") for old, new in hunks]


def apply(patch, repository, out):
    problem = Path(str(out) + ".problem")
    problem.unlink(missing_ok=True)
    file, hunks = hunks_of(patch.read_text())
    text = (repository / file).read_text()
    changed = text
    for old, new in hunks:
        if changed.count(old) != 1:
            problem.write_text(f"{patch} no longer fits {file}: the lines it changes stand there {changed.count(old)} times, not once. "
                               f"Make the patch anew against {file}, so that it plants the same bug:\n{old}")
            changed = text
            break
        changed = changed.replace(old, new)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(changed)


def expect(out, says, command):
    problem = Path(str(out) + ".problem")
    if problem.exists():
        sys.exit(problem.read_text())
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    print(run.stdout[-4000:])
    if run.returncode == 0:
        sys.exit("the planted bug was not found")
    if not re.search(says, run.stdout):
        sys.exit(f"it failed with status {run.returncode}, but did not say {says!r}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["apply"] and len(sys.argv) == 5:
        apply(*map(Path, sys.argv[2:5]))
    elif sys.argv[1:2] == ["expect"] and len(sys.argv) >= 5:
        expect(sys.argv[2], sys.argv[3], sys.argv[4:])
    else:
        sys.exit(__doc__)
