#!/usr/bin/env python3
"""Cycles per 64 multiply-adds that llvm-mca predicts for the inner loops of the ARM kernels, as a Markdown table.

Usage: inner_loops.py DIRECTORY
DIRECTORY holds the objects of the kernels (build/arm64-static/kernels). Needs aarch64-linux-gnu-objdump and
llvm-mca-19, the first in Debian 12 that models these cores.

A loop is found in its function's disassembly: the innermost one with the most (or the given number of)
multiply-adds. The minimum beside it is what the same model says of these multiply-adds alone, independent and from
registers. All loads are taken to hit the first-level cache.
"""

import pathlib
import re
import subprocess
import sys

# Names of llvm's models. It has none of the A72 and the A76 themselves: the A57's and the Neoverse N1's (an A76
# for servers) are nearest.
CORES = {"a72": "cortex-a72", "a76": "neoverse-n1", "v1": "neoverse-v1", "v2": "neoverse-v2"}
MULTIPLY_ADDS = {"sdot": 16, "smmla": 32, "smlal": 8, "smlal2": 8, "smull": 8, "smull2": 8, "fmla": 4}
# One of each kind for the minimum: bytes with NEON are multiplied by smlal and smlal2 in turns.
PLAIN = {"sdot": "sdot v{0}.4s, v30.16b, v31.16b", "smmla": "smmla v{0}.4s, v30.16b, v31.16b",
         "smlal": "smlal v{0}.8h, v30.8b, v31.8b", "smull": "smull v{0}.8h, v30.8b, v31.8b",
         "fmla": "fmla v{0}.4s, v30.4s, v31.4s"}
I2, I4, I8 = "WeightType)26", "WeightType)27", "WeightType)28"
OLD, DOT, NEW, ALL = ("a72",), ("a76", "v1"), ("v1", "v2"), ("a72", "a76", "v1", "v2")
# The compiler keeps one function for q4_1 and q4_k, which share all of prefill, under the name of q4_1.
# Label, object, what the function's name must contain, instruction, how many of them (0: most), cores.
LOOPS = [
    ("int4 rows, decode", "matmul_row_neon", ("run_few", I4), "smlal", 16, OLD),
    ("int2 rows, decode", "matmul_row_neon", ("run_few", I2), "smlal", 32, OLD),
    ("int8 rows, decode", "matmul_row_neon", ("run_few", I8), "smull", 8, OLD),
    ("int4 rows, prefill", "matmul_row_neon", ("run_many", I4), "smlal", 0, OLD),
    ("int8 rows, prefill", "matmul_row_neon", ("run_many", I8), "smull", 0, OLD),
    ("q4_k blocks, decode", "matmul_block_neon", ("store_dots", "1ul", "Q4K"), "smull", 0, OLD),
    ("q4_0 blocks, prefill", "matmul_block_neon", ("multiply_step", "4ul", "Q40"), "smlal", 0, OLD),
    ("int4 rows, decode", "matmul_row_dotprod", ("run_few", I4), "sdot", 8, DOT),
    ("int2 rows, decode", "matmul_row_dotprod", ("run_few", I2), "sdot", 16, DOT),
    ("int8 rows, decode", "matmul_row_dotprod", ("run_few", I8), "sdot", 4, DOT),
    ("rows, prefill", "matmul_row_dotprod", ("run_many", I4), "sdot", 0, DOT),
    ("q4_k blocks, decode", "matmul_block_dotprod", ("store_dots", "1ul", "Q4K"), "sdot", 0, DOT),
    ("q4_0 blocks, decode", "matmul_block_dotprod", ("store_dots", "1ul", "Q40"), "sdot", 0, DOT),
    ("q4_0 blocks, prefill", "matmul_block_dotprod", ("multiply_step", "8ul", "Q40"), "sdot", 0, DOT),
    ("q4_k blocks, prefill", "matmul_block_dotprod", ("multiply_step", "8ul", "Q41"), "sdot", 0, DOT),
    ("rows, prefill", "matmul_row_i8mm", ("run_many", I4), "smmla", 0, NEW),
    ("q4_0 blocks, prefill", "matmul_block_i8mm", ("multiply_step", "8ul", "Q40"), "smmla", 0, NEW),
    ("q4_k blocks, prefill", "matmul_block_i8mm", ("multiply_step", "8ul", "Q41"), "smmla", 0, NEW),
    ("bf16 rows, decode", "matmul_float_neon", ("run_plain", "Bf16"), "fmla", 16, ALL),
    ("float, prefill", "matmul_float_neon", ("run_packed",), "fmla", 0, ALL),
    ("attention, scores", "attention_neon", ("dot_tile", "4ul, 4ul"), "fmla", 16, ALL),
    ("attention, values", "attention_neon", ("add_values_of_tile", "4ul, 4ul"), "fmla", 16, ALL),
]


def functions(path):
    """Names and instruction lists (address, text) of an object's functions."""
    listing = subprocess.run(["aarch64-linux-gnu-objdump", "-dC", "--no-show-raw-insn", path], capture_output=True,
                             check=True, text=True).stdout
    found = []
    for line in listing.splitlines():
        head = re.match(r"^[0-9a-f]+ <(.*)>:$", line)
        code = re.match(r"^ *([0-9a-f]+):\t(.*)$", line)
        if head:
            found.append((head.group(1), []))
        elif code:
            text = re.sub(r" *(//|<).*$", "", code.group(2))
            found[-1][1].append((int(code.group(1), 16), text.replace("\t", " ")))
    return found


def inner_loops(code):
    """Loops without a loop inside: the instructions from a backward branch's target to the branch."""
    places = {address: i for i, (address, _) in enumerate(code)}
    ranges = set()
    for i, (address, text) in enumerate(code):
        match = re.match(r"(?:b\.?\w*|cbn?z \w+,|tbn?z \w+, #\w+,) ([0-9a-f]+)$", text)
        target = int(match.group(1), 16) if match else address + 1
        if target <= address and target in places:
            ranges.add((places[target], i))
    inner = [r for r in ranges if not any(o != r and r[0] <= o[0] and o[1] <= r[1] for o in ranges)]
    return [[text for _, text in code[begin:end + 1]] for begin, end in inner]


def kind(text):
    """The multiply-add of a line of assembly, without the 2 of upper halves."""
    name = text.split(" ")[0]
    wide = name in ("fmla", "fmls") and ".4s" not in text
    return name.rstrip("2") if name in MULTIPLY_ADDS and not wide else None


def multiply_adds(loop):
    return sum(MULTIPLY_ADDS[kind(text)] for text in loop if kind(text))


def cycles(assembly, core):
    """Cycles of one iteration."""
    n = 300
    command = ["llvm-mca-19", "-mtriple=aarch64", "-mcpu=" + CORES[core], "-mattr=+dotprod,+i8mm", f"-iterations={n}"]
    report = subprocess.run(command, input="\n".join(assembly), capture_output=True, check=True, text=True).stdout
    return int(re.search(r"Total Cycles: +(\d+)", report).group(1)) / n


def find_loop(directory, unit, wanted, instruction, count):
    """The loop of a row of LOOPS."""
    paths = sorted(pathlib.Path(directory).rglob(unit + ".cpp.o"))
    if not paths:
        sys.exit(f"{directory}: no {unit}.cpp.o")
    loops = [loop for name, code in functions(paths[0]) if all(part in name for part in wanted)
             for loop in inner_loops(code)]
    sizes = [sum(kind(text) == instruction for text in loop) for loop in loops]
    fitting = [(size, -len(loop), loop) for size, loop in zip(sizes, loops) if size and count in (0, size)]
    if not fitting:
        sys.exit(f"{unit}: no loop of {wanted} with {count or 'any'} {instruction}; there are {sorted(set(sizes))}")
    return max(fitting)[2]


def minimum(loop, core):
    """Cycles of the loop's multiply-adds alone."""
    alone = [PLAIN[kind(text)].format(i % 24) for i, text in enumerate(filter(kind, loop))]
    while len(alone) < 16:  # enough independent sums to hide their latency
        alone += [re.sub(r" v\d+", f" v{(len(alone) + i) % 24}", text, count=1) for i, text in enumerate(alone)]
    return cycles(alone, core) / multiply_adds(alone)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print("| loop | set | a72 | a76 | v1 | v2 |\n| --- | --- | --- | --- | --- | --- |")
    for label, unit, wanted, instruction, count, cores in LOOPS:
        loop = find_loop(sys.argv[1], unit, wanted, instruction, count)
        cells = []
        for core in CORES:
            if core not in cores:
                cells.append("")
                continue
            body = [re.sub(r"(^b\.?\w*|^cbn?z \w+,|^tbn?z .*,) [0-9a-f]+$", r"\1 .Ltop", text) for text in loop]
            each = cycles([".Ltop:", *body], core) / multiply_adds(loop)
            least = minimum(loop, core)
            cells.append(f"{64 * each:.2f} / {64 * least:.2f} = {each / least:.2f}")
        print("| " + " | ".join([label, unit.rsplit("_", 1)[1], *cells]) + " |")


if __name__ == "__main__":
    main()
