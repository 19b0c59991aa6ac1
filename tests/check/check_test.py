#!/usr/bin/env python3
"""The checks check: each finds a mutation violation, and says nothing about a clean tree."""
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.dont_write_bytecode = True
import includes  # noqa: E402
import tidy  # noqa: E402


class Tree(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        for module in ("base", "relay", "sink", "adapters/mysql", "warehouse"):
            self.write(f"src/{module}/README.md", f"# {module}\n")
            self.write(f"src/{module}/CMakeLists.txt", "millrace_module()\n")
        self.write("src/base/result.h", "#pragma once\n")
        self.write("src/sink/sink.h", '#pragma once\n\n#include "base/result.h"\n')

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def includes(self):
        return list(includes.problems_of(self.root / "src"))

    def tidy(self):
        return list(tidy.problems_of(self.root))

    def assert_one(self, problems, *parts):
        self.assertEqual(len(problems), 1, problems)
        for part in parts:
            self.assertIn(part, problems[0])


class Includes(Tree):
    def test_accepts_allowed_arrows(self):
        self.write("src/relay/relay.cpp", '#include <vector>\n\n#include "base/result.h"\n')
        self.write("src/adapters/mysql/pool.cpp", '#include <mysql/mysql.h>\n\n#include "base/result.h"\n')
        self.assertEqual(self.includes(), [])

    def test_refuses_a_stage_in_a_stage(self):
        self.write("src/relay/relay.cpp", '// one\n#include "sink/sink.h"\n')
        self.assert_one(self.includes(), "src/relay/relay.cpp:2", "relay may not include sink")

    def test_refuses_a_stage_in_an_adapter(self):
        self.write("src/adapters/mysql/pool.cpp", '#include "sink/sink.h"\n')
        self.assert_one(self.includes(), "adapters/mysql may not include sink")

    def test_refuses_an_arrow_out_of_base(self):
        self.write("src/base/bad.cpp", '#  include "sink/sink.h"\n')
        self.assert_one(self.includes(), "base may not include sink")

    def test_refuses_a_vendor_outside_of_its_room(self):
        for header in ("mysql.h", "mariadb/mysql.h", "rocksdb/db.h", "boost/asio.hpp", "boost/beast/http.hpp", "curl/curl.h",
                       "dlfcn.h", "csignal", "CLI/CLI.hpp"):
            with self.subTest(header):
                self.write("src/relay/relay.cpp", f"#include <{header}>\n")
                self.assert_one(self.includes(), f"<{header}> belongs in")

    def test_refuses_a_room_that_nobody_listed(self):
        self.write("src/cellar/wine.h", "#pragma once\n")
        self.assert_one(self.includes(), "src/cellar/wine.h", "'cellar' is not in the list")

    def test_refuses_a_name_that_is_not_from_src(self):
        self.write("src/relay/relay.cpp", '#include "relay_helper.h"\n')
        self.assert_one(self.includes(), "not a file under src/")


class Tidy(Tree):
    def test_accepts_a_clean_tree(self):
        self.assertEqual(self.tidy(), [])

    def test_finds_each_planted_violation(self):
        mutation = {
            "unfinished work": ("src/relay/relay.cpp", "// TO" "DO: later\n"),
            "a tab": ("src/relay/relay.cpp", "\tint x;\n"),
            "spaces at the end": ("docs/note.md", "a line \n"),
            "a path of one machine": ("scripts/start", "cd /ho" "me/someone\n"),
            "using namespace std": ("src/relay/relay.cpp", "using namespace std;\n"),
            "does not end with a line end": ("docs/note.md", "a line"),
            "a header without #pragma once": ("src/relay/relay.h", "int x;\n"),
            "a skipped test": ("tests/unit/relay_test.cpp", "TEST(Relay, DISABLED_Works) {}\n"),
            "a fixed sleep": ("tests/unit/relay_test.cpp", "std::this_thread::sleep_for(1s);\n"),
            "links to absent.md": ("docs/note.md", "see [this](absent.md#part)\n"),
        }
        for what, (name, text) in mutation.items():
            with self.subTest(what):
                self.write(name, text)
                self.assert_one(self.tidy(), name, what)
                (self.root / name).unlink()

    def test_wants_a_readme_in_each_room(self):
        self.write("src/relay/relay.cpp", "int x;\n")
        (self.root / "src/relay/README.md").unlink()
        self.assert_one(self.tidy(), "src/relay", "README.md")

    def test_takes_a_folder_inside_of_a_room_as_part_of_it(self):
        self.write("src/sink/roles/role.cpp", "int x;\n")
        self.assertEqual(self.tidy(), [])

    def test_leaves_tabs_of_makefiles_alone(self):
        self.write("Makefile", "all:\n\ttrue\n")
        self.assertEqual(self.tidy(), [])


if __name__ == "__main__":
    unittest.main()
