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
import wave

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

    # Pictures and sounds in the formats that are read without a library of the board.
    def test_a_picture_is_seen_as_on_x86(self):
        rows = bytearray()
        for y in range(180):
            for x in range(320):
                is_inside = 40 <= y < 140 and 2 * abs(x - 160) < y - 40
                rows += b"\xd2\x28\x28" if is_inside else b"\xf0\xf0\xf0"
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "triangle.ppm"
            path.write_bytes(b"P6 320 180 255\n" + rows)
            answer = call("cortex-a72", "run", NANO, "-p", "What shapes are in the picture?", "--image", path,
                          "--budget", 70, "--temperature", 0)
        self.assertEqual(answer, "a red triangle\n")

    def test_a_transcript_is_that_of_x86(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "sentence.wav"
            with wave.open(str(path), "wb") as sound:
                sound.setnchannels(1)
                sound.setsampwidth(2)
                sound.setframerate(16000)
                sound.writeframes((SOURCE / "tests/data/cli/sentence.s16").read_bytes())
            lines = call("cortex-a72", "transcribe", NANO, path, "--language", "en", "--format", "srt")
        self.assertEqual(lines, "1\n00:00:00,000 --> 00:00:01,840\nMaria has 7 blue cars.\n\n")


unittest.main(argv=sys.argv[:1])
