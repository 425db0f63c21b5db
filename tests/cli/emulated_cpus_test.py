"""The program built for 64-bit ARM, on emulated CPUs: each takes the kernels it has, and all give the answers and,
for the integer arithmetic of QAT mobile, the bits that x86 gives.
Arguments: SOURCE_DIR PROGRAM EMULATOR [OPTION..]; the emulator's last option is replaced by the CPU."""

import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

SOURCE, PROGRAM, EMULATOR = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
NANO = SOURCE / "examples/data/gemma-4-nano"
QAT = SOURCE / "tests/data/golden/qat/checkpoint"
# Instruction sets of a Raspberry Pi 4, of a Raspberry Pi 5, and of the newest cores.
CPUS = {"cortex-a72": "neon", "cortex-a76": "dotprod", "max": "i8mm"}
IDS = "2,5,17,40,99,7,3,120,64,11,12,13"
# sha256 of `gemlet logits QAT --ids IDS --all`, made on x86.
LOGITS = "8fc9eba2802d50e46995e4486d901503f8b1dc5aa361eb03bc761bd14e86fa5c"


def call(cpu, *arguments, stdin=b""):
    command = [*EMULATOR[:-1], cpu, PROGRAM, *map(str, arguments)]
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


class EmulatedCpus(unittest.TestCase):
    def test_the_best_kernels_are_chosen(self):
        for cpu, isa in CPUS.items():
            kernels = json.loads(call(cpu, "inspect", NANO, "--json"))["kernels"]
            with self.subTest(cpu=cpu):
                self.assertIn("matmul_row/" + isa, kernels)
                self.assertIn("matmul_block/" + isa, kernels)
                self.assertIn("attention/neon", kernels)

    def test_logits_of_qat_mobile_have_the_bits_of_x86(self):
        for cpu in CPUS:
            with self.subTest(cpu=cpu), tempfile.TemporaryDirectory() as folder:
                path = pathlib.Path(folder) / "logits.npy"
                call(cpu, "logits", QAT, "--ids", IDS, "--all", "--out", path)
                self.assertEqual(hashlib.sha256(path.read_bytes()).hexdigest(), LOGITS)

    def test_answers_are_those_of_x86(self):
        for cpu in CPUS:
            with self.subTest(cpu=cpu):
                answer = call(cpu, "run", NANO, "-p", "Reverse the words: key ball boat gold seven",
                              "--temperature", 0)
                self.assertEqual(answer, "seven gold boat ball key\n")

    def test_a_transcript_is_that_of_x86(self):
        sound = (SOURCE / "tests/data/cli/sentence.s16").read_bytes()
        lines = call("max", "transcribe", NANO, "--live", "--stdin-rate", 16000, "--language", "en",
                     stdin=sound)
        self.assertIn("\nMaria has 7 blue cars.\n", lines)


unittest.main(argv=sys.argv[:1])
