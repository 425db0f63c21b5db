#!/usr/bin/env python3
"""A check that never fails checks nothing: each rule of check_style.py and check_symbols.py, kept and broken."""

import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import check_style  # noqa: E402  (its folder is only known now)
import check_symbols  # noqa: E402

HEADER = "// A thing.\n#pragma once\n"


class StyleCase(unittest.TestCase):
    def findings(self, check, files):
        with tempfile.TemporaryDirectory() as root:
            for path, text in files.items():
                os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
                with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                    file.write(text)
            return list(check_style.CHECKS[check](check_style.Tree(root)))

    def assert_clean(self, check, files):
        self.assertEqual(self.findings(check, files), [])

    def assert_found(self, check, files, text):
        self.assertIn(text, "\n".join(self.findings(check, files)))


class Arrows(StyleCase):
    def test_left_is_allowed(self):
        self.assert_clean("arrows", {
            "quant/formats/f16.h": HEADER,
            "kernels/a.cpp": '// A.\n#include "quant/formats/f16.h"\n',
            "core/a.cpp": '// A.\n#include "kernels/a.h"\n#include "core/status.h"\n',
            "frontends/cli/a.cpp": '// A.\n#include "core/status.h"\n#include "quant/convert/c.h"\n',
            "tests/core/a.cpp": '// A.\n#include "core/pool_detail.h"\n#include <vector>\n',
        })

    def test_right_is_not(self):
        pairs = (("quant/formats", "core/status.h"), ("kernels", "core/status.h"),
                 ("core", "frontends/text/chat.h"), ("core", "quant/convert/gptq.h"),
                 ("frontends/text", "tests/core/help.h"), ("quant/convert", "frontends/text/chat.h"))
        for room, target in pairs:
            self.assert_found("arrows", {room + "/a.cpp": f'// A.\n#include "{target}"\n'}, target)

    def test_paths_begin_at_the_root(self):
        self.assert_found("arrows", {"core/a.cpp": '// A.\n#include "status.h"\n'}, "root")
        self.assert_found("arrows", {"stray/a.cpp": "// A.\n"}, "no room")

    def test_folders_of_a_room_do_not_use_each_other_in_a_circle(self):
        files = {
            "core/a/x.h": HEADER + '#include "core/b/x.h"\n',
            "core/b/x.h": HEADER + '#include "core/c/x.h"\n',
            "core/c/x.h": HEADER + '#include "core/status.h"\n',
        }
        self.assert_clean("arrows", files)
        files["core/c/x.h"] += '#include "core/a/y.h"\n'
        self.assertEqual(len(self.findings("arrows", files)), 3)

    def test_detail_headers_are_private(self):
        line = '// A.\n#include "core/threads/topology_detail.h"\n'
        self.assert_clean("arrows", {"core/threads/a.cpp": line})
        self.assert_found("arrows", {"core/model/a.cpp": line}, "private")


class Sizes(StyleCase):
    def test_limits(self):
        short = {f"core/f{i}.cpp": "// F.\n" for i in range(20)}
        self.assert_clean("sizes", {**short, "core/a.cpp": "// A.\n" + "int a;\n" * 499})
        self.assert_found("sizes", {**short, "core/a.cpp": "// A.\n" + "int a;\n" * 500}, "501 lines")
        long = {**short, "core/a.cpp": "// A.\n// Long because it must.\n" + "int a;\n" * 798}
        self.assert_clean("sizes", long)
        long["core/a.cpp"] += "int a;\n"
        self.assert_found("sizes", long, "more than 800")
        self.assert_clean("sizes", {**short, "core/gen/a.h": "int a;\n" * 5000})

    def test_median(self):
        files = {f"core/f{i}.cpp": "int a;\n" * 200 for i in range(3)}
        self.assert_found("sizes", files, "median")

    def test_head_comment_of_a_script(self):
        text = '#!/usr/bin/env python3\n"""Long because\nof tables.\n"""\n' + "x = 1\n" * 600
        self.assert_clean("sizes", {"tests/a.py": text, "core/b.h": HEADER, "core/c.h": HEADER})


class Others(StyleCase):
    def test_heads(self):
        self.assert_clean("heads", {"core/a.h": HEADER, "core/a.cpp": "// A.\n"})
        self.assert_found("heads", {"core/a.cpp": "#include <vector>\n"}, "open with a comment")
        self.assert_found("heads", {"core/a.cpp": ""}, "open with a comment")
        self.assert_found("heads", {"core/a.h": "// A.\n"}, "pragma once")

    def test_intrinsics(self):
        for line in ("auto x = _mm256_add_ps(a, b);", "#include <immintrin.h>", "#ifdef __AVX2__",
                     "#include <arm_neon.h>"):
            self.assert_found("intrinsics", {"core/a.cpp": "// A.\n" + line + "\n"}, "core/a.cpp:2")
            self.assert_clean("intrinsics", {"kernels/a_avx2.cpp": line, "tests/a.cpp": line})
        self.assert_clean("intrinsics", {"core/a.cpp": "// About _mm256_add_ps.\n"})

    def test_third_party(self):
        line = "// A.\n#include <hwloc.h>\n"
        self.assert_clean("third_party", {"core/a.cpp": line, "tests/b.cpp": line})
        self.assert_found("third_party", {"core/a.cpp": line, "core/b.cpp": line}, "several files")
        self.assert_found("third_party", {"core/a.h": line}, "a header includes")
        self.assert_clean("third_party", {"core/a.cpp": line, "core/b.cpp": '#include "core/hwloc.h"\n'})

    def test_words(self):
        for text in ("see /wo" + "rk/notes", "in /tm" + "p/b-x", "by Cla" + "ude", "a sub" + "agent"):
            self.assert_found("words", {"core/README.md": text}, "core/README.md:1")
        self.assert_clean("words", {"core/README.md": "a chat session; net/work; /workspace; agents"})

    def test_readmes(self):
        self.assert_found("readmes", {"core/a.cpp": "// A.\n"}, "core: has no README.md")
        self.assert_clean("readmes", {"core/a.cpp": "// A.\n", "core/README.md": "# core\n" * 40})
        self.assert_found("readmes", {"core/x/README.md": "# x\n" * 41}, "41 lines")

    def test_calls(self):
        self.assert_found("calls", {"core/a.cpp": 'auto* x = getenv("X");\n'}, "environment")
        self.assert_clean("calls", {"frontends/cli/main.cpp": 'auto* x = getenv("X");\n'})
        self.assert_found("calls", {"core/a.cpp": "throw 1;\n"}, "throws")
        self.assert_found("calls", {"core/a.cpp": "} catch (...) {\n"}, "catches")
        self.assert_clean("calls", {"core/guard.h": "} catch (...) {\n"})
        self.assert_clean("calls", {"frontends/a.cpp": "#include <CLI/CLI.hpp>\nthrow CLI::Error;\n"})
        self.assert_clean("calls", {"core/a.cpp": '// getenv, throw\nauto x = "throw \\" it";\n'})


class Symbols(unittest.TestCase):
    def test_weak_and_unique_definitions(self):
        listing = "\n".join((
            "0000000000000000 W std::min<float>(float const&, float const&)",
            "0000000000000000 V gemlet::kTable",
            "0000000000000000 u gemlet::counter",
            "0000000000000000 T gemlet::run",
            "0000000000000010 t gemlet::(anonymous namespace)::helper",
            "                 w __gmon_start__",
            "                 U memcpy",
        ))
        expected = ["std::min<float>(float const&, float const&)", "gemlet::kTable", "gemlet::counter"]
        self.assertEqual(check_symbols.weak_symbols(listing), expected)


if __name__ == "__main__":
    unittest.main()
