#!/usr/bin/env python3
"""Fails if an object file of a kernel defines a symbol that the linker may merge with others.

Such a symbol (an inline function, a template) keeps one copy in the program; if that is the copy built for AVX-512,
older CPUs crash in code that never asked for it.
Usage: check_symbols.py NM OBJECT..
"""

import re
import subprocess
import sys


def weak_symbols(listing):
    """Names of weak (V, W) and unique (u) definitions in the output of nm -C."""
    found = []
    for line in listing.splitlines():
        match = re.match(r"^[0-9a-fA-F]+ ([VWu]) (.*)$", line)
        if match:
            found.append(match.group(2))
    return found


def main(arguments):
    if len(arguments) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    bad = 0
    for path in arguments[1:]:
        command = [arguments[0], "-C", path]
        listing = subprocess.run(command, capture_output=True, check=True, text=True).stdout
        for name in weak_symbols(listing):
            print(f"{path}: {name}")
            bad += 1
    print(f"{len(arguments) - 1} objects, {bad} shared definitions")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
