"""gemlet transcribe from outside: formats, folders, wrong usage, being stopped and going on, live lines."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from program import NANO, PROGRAM, SOURCE, call, main

SOUND = SOURCE / "tests/data/transcribe/three_sentences.flac"
TEXTS = ["Anna has the yellow boat.", "Maria buys the blue car.", "Maria wants the black flower."]


def transcribe(*arguments, **settings):
    return call("transcribe", NANO, *arguments, **settings)


class Transcribe(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = pathlib.Path(self.folder.name)

    def expect_failure(self, code, *arguments, stdin=""):
        done = transcribe(*arguments, stdin=stdin)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertTrue(done.stderr.startswith("gemlet: "), done.stderr)
        return done.stderr

    def test_one_file_goes_to_standard_output(self):
        done = transcribe(SOUND, "--language", "en")
        self.assertEqual((done.returncode, done.stdout), (0, " ".join(TEXTS) + "\n"), done.stderr)

    def test_several_files_go_to_a_folder(self):
        copy = self.path / "again.flac"
        copy.write_bytes(SOUND.read_bytes())
        out = self.path / "out/deep"
        done = transcribe(SOUND, copy, "--language", "English", "-o", out, "--format", "srt")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(sorted(os.listdir(out)), ["again.srt", "three_sentences.srt"])
        text = (out / "again.srt").read_text()
        self.assertEqual(text, (out / "three_sentences.srt").read_text())
        blocks = text.rstrip("\n").split("\n\n")
        self.assertEqual(len(blocks), 3)
        for number, (block, said) in enumerate(zip(blocks, TEXTS), 1):
            self.assertRegex(block, rf"^{number}\n\d\d:\d\d:\d\d,\d{{3}} --> \d\d:\d\d:\d\d,\d{{3}}\n"
                             + re.escape(said) + "$")

    def test_wrong_usage_is_2(self):
        self.expect_failure(2)
        self.expect_failure(2, SOUND, SOUND)
        self.expect_failure(2, SOUND, SOUND, "-o", self.path)  # the same name twice
        self.expect_failure(2, SOUND, "--language", "Klingon")
        self.expect_failure(2, SOUND, "--translate-to", "xx")
        self.expect_failure(2, SOUND, "--format", "doc")
        self.expect_failure(2, SOUND, "--max-segment-seconds", "31")
        self.expect_failure(2, SOUND, "--resume")
        self.expect_failure(2, "--live")
        self.expect_failure(2, SOUND, "--live", "--stdin-rate", 16000)

    def test_faults_are_one_line(self):
        broken = self.path / "broken.flac"
        broken.write_bytes(SOUND.read_bytes()[:50000])
        for sound in (self.path / "none.wav", broken, __file__):
            text = self.expect_failure(1, sound)
            self.assertEqual(text.count("\n"), 1)
            self.assertIn(str(sound), text)

    def test_a_model_that_takes_no_sound_says_so(self):
        config = json.loads((NANO / "config.json").read_text())
        config["audio_config"] = None
        (self.path / "config.json").write_text(json.dumps(config))
        for name in ("model.safetensors", "tokenizer.json"):
            os.symlink(NANO / name, self.path / name)
        done = call("transcribe", self.path, SOUND)
        self.assertEqual(done.returncode, 1)
        self.assertIn("takes no sound", done.stderr)

    def test_being_stopped_loses_nothing_that_is_finished(self):
        command = [PROGRAM, "transcribe", str(NANO), str(SOUND), "--language", "en", "-o", str(self.path),
                   "--parallel", "1", "--threads", "1"]
        journal = self.path / "three_sentences.gemlet-journal"
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
            while running.poll() is None and not (journal.exists() and journal.read_text().count("\n") > 1):
                time.sleep(0.005)
            running.send_signal(signal.SIGINT)
            notes = running.communicate(timeout=30)[1]
        if running.returncode == 0:
            self.skipTest("was done before it could be stopped")
        self.assertEqual(running.returncode, 130)
        self.assertIn("--resume", notes)
        known = journal.read_text().count("\n")
        journal.write_text(journal.read_text() + '{"piece":9,"ra')  # as a crash might leave it
        self.assertEqual(self.expect_failure(1, SOUND, "--language", "fr", "-o", self.path, "--resume")
                         .count("\n"), 1)
        self.assertGreater(known, 1)
        done = call(*command[1:], "--resume")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertFalse(journal.exists())
        self.assertEqual((self.path / "three_sentences.txt").read_text(), " ".join(TEXTS) + "\n")

    def test_live_lines_from_standard_input(self):
        silence = subprocess.run([PROGRAM, "transcribe", str(NANO), "--live", "--stdin-rate", "8000"],
                                 input=bytes(16000), capture_output=True, timeout=60, check=False)
        self.assertEqual((silence.returncode, silence.stdout), (0, b""), silence.stderr)


if "no libsndfile" in transcribe(SOUND).stderr:
    print("skipped: this build reads no sound files")
    sys.exit(77)
main()
