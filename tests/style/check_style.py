#!/usr/bin/env python3
"""Checks the rules about the code itself that can be read off its files.

Usage: check_style.py ROOT CHECK..   with CHECK one of the keys of CHECKS; exits 1 with one line per finding.
Each check takes a Tree and yields findings. Only the standard library is used.
"""

import os
import re
import statistics
import subprocess
import sys

CPP = (".h", ".cpp", ".c")
SOURCES = CPP + (".py", ".sh")
DATA_FOLDERS = ("tests/data/", "examples/data/", "tests/fuzz/corpus/")

# Which rooms a room may include. Tests and benches see all and are seen by none.
ROOMS = {
    "quant/formats": (),
    "kernels": ("quant/formats",),
    "core": ("quant/formats", "kernels"),
    "quant/convert": ("quant/formats", "kernels", "core"),
    "frontends": ("quant/formats", "kernels", "core", "quant/convert"),
    "examples": ("quant/formats", "kernels", "core", "quant/convert", "frontends"),
    "tests": None,
    "bench": None,
}
ROOMS_WITH_README = tuple(ROOMS) + ("toolchains",)

MAX_LINES = 800
LONG_LINES = 500  # beyond this the head comment says why, with the words "Long because"
MAX_MEDIAN_LINES = 200
MAX_README_LINES = 40

# Headers that stay behind a header of ours: each library in one .cpp.
THIRD_PARTY = {
    "nlohmann": r"nlohmann/",
    "simdjson": r"simdjson",
    "hwloc": r"hwloc",
    "CLI11": r"CLI/",
    "cpp-httplib": r"httplib",
    "libjpeg": r"jpeglib|turbojpeg",
    "libpng": r"png\.h",
    "libwebp": r"webp/",
    "ffmpeg": r"lib(av|sw)",
    "libsndfile": r"sndfile",
    "libmpg123": r"mpg123",
    "resampler": r"soxr|samplerate",
    "sentencepiece": r"sentencepiece",
}
# How many files may include it, where one is not enough.
THIRD_PARTY_FILES = {"ffmpeg": 2}  # pictures of videos, and sound

INTRINSICS = re.compile(
    r"\b_mm(256|512)?_|\b(imm|x86)intrin\.h|\barm_(neon|sve)\.h|\bcpuid\.h|\b__(AVX|SSE|AMX|ARM_FEATURE)"
)
# In pieces, so that this file does not contain them.
FORBIDDEN_WORDS = {
    "a path of one machine": r"(?<![\w.])/wo" + r"rk(?![\w-])|/tm" + r"p/b-",
    "who wrote it": r"\bLLM " + r"session|\bhelper " + r"agent|\bsub" + r"agent|\bCla" + r"ude\b",
}


class Tree:
    """The repository's files, as paths relative to its root, and their text."""

    def __init__(self, root):
        self.root = root
        self.files = sorted(list_files(root))

    def text(self, path):
        try:
            with open(os.path.join(self.root, path), encoding="utf-8") as file:
                return file.read()
        except (UnicodeDecodeError, OSError):
            return ""  # not text, or deleted but still listed

    def lines(self, path):
        return self.text(path).splitlines()

    def written(self, suffixes):
        """Files written by people: no fixtures, no generated tables."""
        return [
            path
            for path in self.files
            if path.endswith(suffixes)
            and not path.startswith(DATA_FOLDERS)
            and "/gen/" not in path
        ]


def list_files(root):
    """What git knows or would add; without git everything but hidden and build folders."""
    command = ["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    if os.path.exists(os.path.join(root, ".git")):
        try:
            listing = subprocess.run(command, capture_output=True, check=True).stdout.decode()
            return [p for p in listing.split("\0") if p and os.path.isfile(os.path.join(root, p))]
        except (OSError, subprocess.CalledProcessError):
            pass
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [f for f in folders if not f.startswith((".", "build", "__pycache__"))]
        found += [os.path.relpath(os.path.join(folder, name), root) for name in names]
    return found


def room_of(path):
    for room in ROOMS:
        if path.startswith(room + "/"):
            return room
    return None


def subfolder_of(path):
    """"core/threads" for core/threads/pool.h, None for files that lie in the room itself."""
    room = room_of(path)
    rest = path[len(room) + 1 :].split("/") if room else []
    return room + "/" + rest[0] if len(rest) > 1 else None


def includes(tree, path):
    """(line number, path) of each include of a file of ours."""
    for number, line in enumerate(tree.lines(path), 1):
        match = re.match(r'\s*#\s*include\s*"([^"]+)"', line)
        if match:
            yield number, match.group(1)


def head_comment(lines):
    """The lines of the comment (or docstring) a file begins with."""
    head = []
    for line in lines:
        if line.startswith("#!"):
            continue
        if not line.startswith(("//", "#", '"""')) and not (head and head[0].startswith('"""')):
            break
        if line.startswith(("#pragma", "#include")):
            break
        head.append(line)
        if line.endswith('"""') and (len(head) > 1 or len(line) > 3):
            break
    return head


def check_arrows(tree):
    """Includes point to the left only: room by room, and between the folders of a room in no circle."""
    edges = {}
    for path in tree.written(CPP):
        room = room_of(path)
        if room is None:
            yield f"{path}: lies in no room"
            continue
        for number, target in includes(tree, path):
            where = f"{path}:{number}: includes {target}"
            target_room = room_of(target)
            if target_room is None:
                yield f"{where}, which is not a path from the repository's root"
            elif ROOMS[room] is not None:
                if target_room != room and target_room not in ROOMS[room]:
                    yield f"{where}: {room} must not use {target_room}"
                own, other = subfolder_of(path), subfolder_of(target)
                if own and other and own != other:
                    edges.setdefault(own, {}).setdefault(other, where)
                if target.endswith("_detail.h") and os.path.dirname(target) != os.path.dirname(path):
                    yield f"{where}, which is private to its folder"
    yield from circles(edges)


def circles(edges):
    """Each pair of folders that reach one another."""

    def reachable(start):
        seen, todo = set(), [start]
        while todo:
            for target in edges.get(todo.pop(), {}):
                if target not in seen:
                    seen.add(target)
                    todo.append(target)
        return seen

    for folder in sorted(edges):
        for target, where in sorted(edges[folder].items()):
            if folder in reachable(target):
                yield f"{where}: {folder} and {target} use each other"


def check_sizes(tree):
    """Files stay short, and those that cannot say why."""
    counts = []
    for path in tree.written(SOURCES):
        lines = tree.lines(path)
        counts.append(len(lines))
        if len(lines) > MAX_LINES:
            yield f"{path}: {len(lines)} lines, more than {MAX_LINES}"
        elif len(lines) > LONG_LINES and "Long because" not in " ".join(head_comment(lines)):
            yield f'{path}: {len(lines)} lines; its head comment must say "Long because ..."'
    if counts and statistics.median(counts) >= MAX_MEDIAN_LINES:
        yield f"the median file has {statistics.median(counts)} lines, not below {MAX_MEDIAN_LINES}"
    if len(counts) >= 10 and sorted(counts)[len(counts) * 9 // 10] >= LONG_LINES:
        yield f"one file in ten has {LONG_LINES} lines or more"


def check_heads(tree):
    """Each C++ file opens with a comment that says what it is about; headers have their guard."""
    for path in tree.written(CPP):
        lines = tree.lines(path)
        named_by_its_subject = path.startswith("tests/") and path.endswith(".cpp")
        if not named_by_its_subject and (not lines or not lines[0].startswith("//")):
            yield f"{path}: does not open with a comment"
        if path.endswith(".h") and not re.search(r"^#(pragma once|ifndef)", tree.text(path), re.M):
            yield f"{path}: has no #pragma once"


def check_intrinsics(tree):
    """Instruction sets are the kernels' business; only tests may imitate or compare them."""
    for path in tree.written(CPP):
        room = room_of(path)
        if room == "kernels" or (room and ROOMS[room] is None):
            continue
        for number, line in enumerate(tree.lines(path), 1):
            if INTRINSICS.search(line.split("//")[0]):
                yield f"{path}:{number}: instruction set outside kernels: {line.strip()}"


def check_third_party(tree):
    """A library's headers appear in one .cpp only."""
    users = {}
    for path in tree.written(CPP):
        if ROOMS.get(room_of(path)) is None:
            continue
        for line in tree.lines(path):
            match = re.match(r'\s*#\s*include\s*[<"]([^>"]+)[>"]', line)
            if not match or room_of(match.group(1)):
                continue  # no include, or a file of ours, whatever its name
            for library, pattern in THIRD_PARTY.items():
                if re.match(pattern, match.group(1)):
                    users.setdefault(library, set()).add(path)
    for library, paths in sorted(users.items()):
        listing = ", ".join(sorted(paths))
        if len(paths) > THIRD_PARTY_FILES.get(library, 1):
            yield f"{library} is included in several files: {listing}"
        for path in sorted(paths):
            if not path.endswith((".cpp", ".c")):
                yield f"{path}: a header includes {library}"


def check_words(tree):
    """Nothing tells of the machine or the circumstances it was written in."""
    for path in tree.files:
        if path.startswith(DATA_FOLDERS) and not path.endswith((".md", ".py", ".txt")):
            continue
        for number, line in enumerate(tree.lines(path), 1):
            for what, pattern in FORBIDDEN_WORDS.items():
                if re.search(pattern, line):
                    yield f"{path}:{number}: names {what}: {line.strip()[:100]}"


def check_readmes(tree):
    """Each room explains itself, briefly."""
    for room in ROOMS_WITH_README:
        has_sources = any(path.startswith(room + "/") for path in tree.written(SOURCES))
        if has_sources and room + "/README.md" not in tree.files:
            yield f"{room}: has no README.md"
    for path in tree.written(("/README.md",)):
        n_lines = len(tree.lines(path))
        if n_lines > MAX_README_LINES:
            yield f"{path}: {n_lines} lines, more than {MAX_README_LINES}"


def check_calls(tree):
    """The library reads no environment, throws nothing and catches in one place. CLI11 speaks through
    exceptions, so the file that includes it may as well."""
    rules = (
        (r"\b(secure_)?getenv\b|\benviron\b", "reads the environment outside a main file"),
        (r"\bthrow\b", "throws"),
        (r"\bcatch\s*\(", "catches outside core/guard.h"),
    )
    for path in tree.written(CPP):
        room = room_of(path)
        if room is None or ROOMS[room] is None:
            continue
        speaks_cli11 = re.search(r"^#include <CLI/", tree.text(path), re.M) is not None
        for number, line in enumerate(tree.lines(path), 1):
            code = re.sub(r'"(\\.|[^"\\])*"', '""', line).split("//")[0]
            for pattern, what in rules:
                main = "getenv" in pattern and (path.endswith("/main.cpp") or room == "examples")
                guard = "catch" in pattern and path == "core/guard.h"
                cli11 = "getenv" not in pattern and speaks_cli11
                if re.search(pattern, code) and not (main or guard or cli11):
                    yield f"{path}:{number}: {what}: {line.strip()}"


def check_format(tree):
    """clang-format has nothing to change. Exits 77 (skipped) where that version is not installed."""
    files = [os.path.join(tree.root, path) for path in tree.written(CPP)]
    command = ["clang-format-14", "--dry-run", "-Werror", "--ferror-limit=1"]
    try:
        result = subprocess.run(command + files, capture_output=True, check=False, text=True)
    except FileNotFoundError:
        print("clang-format-14 is not installed")
        sys.exit(77)
    for line in result.stderr.splitlines():
        if "error:" in line:
            yield os.path.relpath(line.split(":")[0], tree.root) + ": run clang-format-14 -i"


CHECKS = {
    "arrows": check_arrows,
    "sizes": check_sizes,
    "heads": check_heads,
    "intrinsics": check_intrinsics,
    "third_party": check_third_party,
    "words": check_words,
    "readmes": check_readmes,
    "calls": check_calls,
    "format": check_format,
}


def main(arguments):
    if len(arguments) < 2 or any(name not in CHECKS for name in arguments[1:]):
        print(__doc__, "\nChecks:", ", ".join(CHECKS), file=sys.stderr)
        return 2
    tree = Tree(arguments[0])
    if not tree.files:
        print(f"{arguments[0]}: no files", file=sys.stderr)
        return 2
    findings = [finding for name in arguments[1:] for finding in CHECKS[name](tree)]
    for finding in findings:
        print(finding)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
