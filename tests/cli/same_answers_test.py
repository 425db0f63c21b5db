"""The same answers everywhere: one list (tests/data/cli/same_answers.json) holds for the program built for this machine and
for 64-bit ARM on emulated CPUs, each of which takes the kernels it has; QAT mobile, integer arithmetic, gives the same bits.
Arguments: PROGRAM SOURCE_DIR SHARED_DATA [EMULATOR OPTION..]; the emulator's last option is replaced by the CPU."""

import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest
import wave

PROGRAM, SOURCE, EMULATOR = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[4:]
NANO = SOURCE / "examples/data/gemma-4-nano"
QAT = SOURCE / "tests/data/golden/qat/checkpoint"
EXPECTED = json.loads((SOURCE / "tests/data/cli/same_answers.json").read_text(encoding="utf-8"))
IDS = "2,5,17,40,99,7,3,120,64,11,12,13"
# Instruction sets of a Raspberry Pi 4 (the baseline), of a Raspberry Pi 5, and of the newest cores.
CPUS = {"cortex-a72": "neon", "cortex-a76": "dotprod", "max": "i8mm"} if EMULATOR else {"native": None}


def call(cpu, *arguments, stdin=""):
    command = [*EMULATOR[:-1], cpu] if EMULATOR else []
    done = subprocess.run([*command, PROGRAM, *map(str, arguments)], input=stdin, capture_output=True, timeout=280,
                          encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


# A picture and a sound in formats that are read without any library.
def write_triangle(path):
    rows = bytearray()
    for y in range(180):
        for x in range(320):
            is_inside = 40 <= y < 140 and 2 * abs(x - 160) < y - 40
            rows += b"\xd2\x28\x28" if is_inside else b"\xf0\xf0\xf0"
    path.write_bytes(b"P6 320 180 255\n" + rows)


def write_sentence(path):
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(16000)
        sound.writeframes((SOURCE / "tests/data/cli/sentence.s16").read_bytes())


class SameAnswers(unittest.TestCase):
    def test_the_best_kernels_are_chosen(self):
        for cpu, isa in CPUS.items():
            kernels = json.loads(call(cpu, "inspect", NANO, "--json"))["kernels"]
            if isa is None:
                continue  # whatever this machine has
            with self.subTest(cpu=cpu):
                self.assertIn("matmul_row/" + isa, kernels)
                self.assertIn("matmul_block/" + isa, kernels)
                self.assertIn("attention/neon", kernels)

    def test_logits_of_qat_mobile_have_the_same_bits(self):
        for cpu in CPUS:
            with self.subTest(cpu=cpu), tempfile.TemporaryDirectory() as folder:
                path = pathlib.Path(folder) / "logits.npy"
                call(cpu, "logits", QAT, "--ids", IDS, "--all", "--out", path)
                self.assertEqual(hashlib.sha256(path.read_bytes()).hexdigest(), EXPECTED["qat_logits_sha256"])

    def test_answers_are_the_same(self):
        with tempfile.TemporaryDirectory() as folder:
            files = {"NANO": NANO, "PICTURE": pathlib.Path(folder) / "triangle.ppm",
                     "SOUND": pathlib.Path(folder) / "sentence.wav"}
            write_triangle(files["PICTURE"])
            write_sentence(files["SOUND"])
            for case in EXPECTED["answers"]:
                arguments = [files.get(argument, argument) for argument in case["arguments"]]
                for cpu in list(CPUS)[:1] if case["cpus"] == "baseline" else CPUS:
                    with self.subTest(name=case["name"], cpu=cpu):
                        self.assertEqual(call(cpu, *arguments, stdin=case.get("stdin", "")), case["output"])


unittest.main(argv=sys.argv[:1])
