"""Calls the program under test. The arguments of every test: PROGRAM SOURCE_DIR SHARED_DATA."""

import json
import pathlib
import subprocess
import sys
import unittest

PROGRAM, SOURCE, SHARED = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
NANO = SOURCE / "examples/data/gemma-4-nano"
DATA = SOURCE / "tests/data/cli"


def call(*arguments, stdin="", timeout=60):
    """Runs the program to its end; returns it with text output."""
    return subprocess.run([PROGRAM, *map(str, arguments)], input=stdin, capture_output=True,
                          encoding="utf-8", timeout=timeout, check=False)


def call_lines(values, *arguments):
    """Sends JSON values one a line, returns the answers' values."""
    text = "".join(json.dumps(value) + "\n" for value in values)
    done = call(*arguments, "--jsonl", stdin=text)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.split("\n") if line]


def read_jsonl(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def main():
    unittest.main(argv=sys.argv[:1])


def skip_without(path):
    """Ends the test as skipped where reference data is not there."""
    if not path.exists():
        print(f"skipped: {path} is not there")
        sys.exit(77)
