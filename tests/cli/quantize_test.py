"""Smaller checkpoints from the small model, and the figures that tell how good they are."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

from program import NANO, PROGRAM, SHARED, call, main
from word_errors import word_errors, words

TEXT = NANO.parents[2] / "CHANGELOG.md"


def compare(first, second):
    done = call("perplexity", "--compare", first, second, TEXT, "--window", 128)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class Comparison(unittest.TestCase):
    def test_a_model_agrees_with_itself(self):
        figures = compare(NANO, NANO)
        self.assertEqual(figures["kl_divergence"], 0)
        self.assertEqual(figures["top1_agreement"], 1)
        self.assertEqual(figures["perplexity_a"], figures["perplexity_b"])
        alone = json.loads(call("perplexity", NANO, TEXT, "--window", 128).stdout)
        self.assertEqual(alone["perplexity"], figures["perplexity_a"])
        self.assertEqual(alone["tokens"], figures["tokens"])

    def test_both_spellings(self):
        done = call("perplexity", NANO, TEXT, "--window", 128, "--compare", NANO)
        self.assertEqual(json.loads(done.stdout)["kl_divergence"], 0)

    def test_wrong_usage(self):
        self.assertEqual(call("perplexity", NANO).returncode, 2)
        self.assertEqual(call("perplexity", "--compare", NANO, NANO).returncode, 2)
        done = call("perplexity", "--compare", NANO, "/no/such/model", TEXT)
        self.assertEqual(done.returncode, 1)
        self.assertIn("/no/such/model", done.stderr)


class Quantize(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def quantize(self, scheme, method, *options):
        path = self.folder / f"{method}.gguf"
        done = call("quantize", NANO, path, "--scheme", scheme, "--method", method, *options)
        return path, done

    def test_better_methods_are_better(self):
        """From the directory: metadata and vocabulary are made, and the file runs as it is."""
        last = 1
        for method in ("round", "gptq"):
            path, done = self.quantize("gguf:q4_0", method, "--calibration-tokens", 1024)
            if method == "gptq" and "GEMLET_QUANT" in done.stderr:
                continue
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(json.loads(done.stdout)["bytes"], path.stat().st_size)
            divergence = compare(NANO, path)["kl_divergence"]
            self.assertLess(divergence, last)
            last = divergence
        self.assertLess(last, 0.02)
        again = call("quantize", path, self.folder / "b", "--scheme", "gguf:q2_k", "--method", "round")
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertEqual(call("tokenize", path, "Grüße, 42").stdout, call("tokenize", NANO, "Grüße, 42").stdout)

    def test_calibration_has_pictures_and_sounds(self):
        """Without files of one's own there are prompts beside the text's 1,024 tokens."""
        text = self.folder / "text"
        text.write_text("All of them came to see the new bridge. " * 400)
        counts = []
        for options in ((), ("--calibration", text)):
            done = call("quantize", NANO, self.folder / f"m{len(counts)}", "--scheme", "mobile:w8", "--method", "round",
                        "--calibration-tokens", 1022, *options)
            self.assertEqual(done.returncode, 0, done.stderr)
            counts.append(json.loads(done.stdout)["calibration_tokens"])
        self.assertEqual(counts[1], 1024)
        self.assertGreater(counts[0], counts[1] + 100)  # both of them, at most an eighth of the text each
        self.assertLessEqual(counts[0], counts[1] + 2 * (1022 // 8))

    def test_mobile(self):
        """The text is close to the original, and the quantised encoders open."""
        path = self.folder / "mobile"
        done = call("quantize", NANO, path, "--scheme", "mobile:w4", "--method", "search", "--calibration-tokens", 1024)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout)["bytes"], (path / "model.safetensors").stat().st_size)
        self.assertLess(compare(NANO, path)["kl_divergence"], 0.06)
        patterns = json.loads((path / "config.json").read_text())["quantization_config"]["module_quant_configs"]
        self.assertEqual(patterns["vision_tower"], {"num_bits": 8})
        evaluation = SHARED / "data/nano/eval"
        for option, name in (("--image", "images/001.png"), ("--audio", "speech/002.wav")):
            if not (evaluation / name).exists():
                continue
            done = call("run", path, option, evaluation / name, "-p", "What is it?", "--max-tokens", 2)
            self.assertEqual(done.returncode, 0, done.stderr)

    def test_pictures_and_speech_at_four_bits(self):
        """Some of what tests/interop/score_media.py asks, beside the answers of the floats: chance may take a word and a
        picture."""
        evaluation = SHARED / "data/nano/eval"
        path = self.folder / "mobile"
        done = call("quantize", NANO, path, "--scheme", "mobile:w4", "--method", "gptq", "--calibration-tokens", 2048,
                    "--threads", 1, timeout=300)
        if "GEMLET_QUANT" in done.stderr:
            self.skipTest("this build has no gptq")
        self.assertEqual(done.returncode, 0, done.stderr)
        lost = {"audio": 0, "image": 0}
        for option, name in (("audio", "speech/transcripts.jsonl"), ("image", "images/answers.jsonl")):
            if not (evaluation / name).exists():
                self.skipTest("no pictures and sounds to ask about")
            cases = [json.loads(line) for line in (evaluation / name).read_text(encoding="utf-8").splitlines()]
            plain = [case for case in cases if case["file"].endswith((".wav", ".png"))]  # what every build reads
            for case in plain[::5]:
                done = call("run", path, f"--{option}", evaluation / case["file"], "-p", case["prompt"], "--temperature", 0,
                            "--budget", 70, "--json", "--threads", 1)
                self.assertEqual(done.returncode, 0, done.stderr)
                answer = json.loads(done.stdout)["content"].strip()
                if option == "image":
                    lost[option] += (case["reference"] == case["expected"]) - (answer == case["expected"].strip())
                else:
                    wanted = words(case["expected"])
                    lost[option] += word_errors(words(answer), wanted) - word_errors(words(case["reference"]), wanted)
        self.assertLessEqual(lost["audio"], 1)
        self.assertLessEqual(lost["image"], 1)

    def test_what_cannot_be_is_one_clear_line(self):
        for code, arguments in ((2, ()), (2, (NANO, "x")), (1, (NANO, "x", "--scheme", "gguf:q9")),
                                (1, ("/no/such/model", "x", "--scheme", "gguf:q4_0")),
                                (1, (NANO, "/no/such/folder/x", "--scheme", "gguf:q4_0", "--method", "round")),
                                (2, (NANO, "x", "--scheme", "gguf:q4_0", "--method", "magic"))):
            done = call("quantize", *arguments)
            self.assertEqual(done.returncode, code, arguments)
            self.assertTrue(done.stderr.startswith("gemlet: "), done.stderr)
        broken = self.folder / "broken.gguf"
        broken.write_bytes(b"GGUF\x03\0\0\0")
        self.assertEqual(call("quantize", broken, self.folder / "x", "--scheme", "gguf:q4_0").returncode, 1)
        self.assertEqual(os.listdir(self.folder), ["broken.gguf"])
        cut = self.folder / "cut"
        shutil.copytree(NANO, cut)
        weights = cut / "model.safetensors"
        os.chmod(weights, 0o644)
        os.truncate(weights, weights.stat().st_size // 2)
        for scheme in ("gguf:q4_0", "mobile:w4"):
            done = call("quantize", cut, self.folder / "x", "--scheme", scheme)
            self.assertEqual(done.returncode, 1)
            self.assertIn("beyond the end of the file", done.stderr)
        self.assertEqual(sorted(os.listdir(self.folder)), ["broken.gguf", "cut"])

    def stop_once_there(self, command, partial):
        """Runs a command and presses Ctrl-C when it has begun to write."""
        with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
            while not partial.exists() and process.poll() is None:
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130)

    def test_a_stop_leaves_nothing_but_what_can_be_resumed(self):
        path = self.folder / "out.gguf"
        command = [PROGRAM, "quantize", str(NANO), str(path), "--scheme", "gguf:q4_0", "--method", "search"]
        for options, left in (([], set()), (["--resume"], {"out.gguf.partial", "out.gguf.partial.journal"})):
            self.stop_once_there(command + options, self.folder / "out.gguf.partial")
            self.assertEqual(set(os.listdir(self.folder)), left)

    def test_a_stop_leaves_no_folder_but_one_to_be_resumed(self):
        path = self.folder / "mobile"
        command = [PROGRAM, "quantize", str(NANO), str(path), "--scheme", "mobile:w4", "--method", "search"]
        for options, left in (([], []), (["--resume"], ["mobile.partial"])):
            self.stop_once_there(command + options, self.folder / "mobile.partial")
            self.assertEqual(os.listdir(self.folder), left)

    def test_a_full_disk(self):
        disk = self.folder / "disk"
        disk.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)],
                                 capture_output=True, check=False)
        if mounted.returncode != 0:
            self.skipTest("may not mount a small disk here")
        try:
            for scheme in ("gguf:q8_0", "mobile:w4"):
                done = call("quantize", NANO, disk / "x", "--scheme", scheme, "--method", "round")
                self.assertEqual(done.returncode, 1)
                self.assertIn("disk is full", done.stderr)
                self.assertEqual(os.listdir(disk), [])
        finally:
            subprocess.run(["umount", str(disk)], check=False)


main()
