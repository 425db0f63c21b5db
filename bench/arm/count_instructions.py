#!/usr/bin/env python3
"""Counts the instructions of a decode step, by function, as qemu's user mode executes them.

    count_instructions.py MODEL PROGRAM [CPU..]      PROGRAM: static, with symbols (preset arm64-static without -s)

qemu logs each block of instructions when it translates it (in_asm) and each time it enters it (exec, with nochain). The
step is what two answers of different length differ by, divided by the tokens between them: one thread, temperature 0.
Tokens: 2 and 6 of "Reverse the words: key ball boat gold seven". Instructions, not cycles: loads count as multiply-adds do.
"""
import collections
import re
import subprocess
import sys

PROMPT = "Reverse the words: key ball boat gold seven"
FEW, MANY = 2, 6
# Groups by what a demangled name contains; the first that fits.
GROUPS = [("matmul", ("matmul_", "run_few", "run_many", "run_plain", "run_packed", "dot_rows", "store_dots")),
          ("attention", ("attention", "dot_tile", "add_values")),
          ("vector", ("vector_", "norm", "gelu", "rotary", "softmax", "quantize"))]


def executed(model, program, cpu, n_tokens):
    """Instructions by symbol of one run."""
    command = ["qemu-aarch64-static", "-cpu", cpu, "-d", "in_asm,exec,nochain", program, "run", model, "-p", PROMPT,
               "--temperature", "0", "--threads", "1", "--max-tokens", str(n_tokens)]
    sizes, counts, begin = {}, collections.Counter(), None
    entry = re.compile(rb"^Trace \d+: \S+ \[[0-9a-f]+/([0-9a-f]+)/\S*\] ?(\S*)")
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        for line in process.stderr:
            if line.startswith(b"Trace"):
                match = entry.match(line)
                pc = int(match.group(1), 16)
                counts[match.group(2) or b"?"] += sizes[pc]
            elif line.startswith(b"IN:"):
                begin = None
            elif line.startswith(b"0x"):
                address = int(line[:line.index(b":")], 16)
                if begin is None:
                    begin = address
                    sizes[begin] = 0
                sizes[begin] += 1
    if process.returncode != 0:
        sys.exit(f"the program failed on {cpu}")
    return counts


def group_of(name):
    return next((group for group, parts in GROUPS if any(part in name for part in parts)), "other")


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    model, program = sys.argv[1:3]
    print("| CPU | all | " + " | ".join(group for group, _ in GROUPS) + " | other | most |\n" + "| --- " * 7 + "|")
    for cpu in sys.argv[3:] or ["cortex-a72", "cortex-a76", "max"]:
        step = executed(model, program, cpu, MANY)
        step.subtract(executed(model, program, cpu, FEW))
        names = list(step)
        plain = subprocess.run(["c++filt"], input=b"\n".join(names), capture_output=True, check=True).stdout
        named = {name.decode(): step[raw] / (MANY - FEW) for raw, name in zip(names, plain.splitlines())}
        sums = collections.Counter()
        for name, n in named.items():
            sums[group_of(name)] += n
        most = max(named, key=named.get)
        cells = [f"{sums[group] / 1e3:.0f}" for group in [*(group for group, _ in GROUPS), "other"]]
        print(f"| {cpu} | {sum(named.values()) / 1e3:.0f} | " + " | ".join(cells) + f" | {most[:60]} {named[most] / 1e3:.0f} |")


if __name__ == "__main__":
    main()
