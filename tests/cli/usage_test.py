"""Wrong usage, broken models, standard input in all its forms, the four text tools on a small model."""

import json
import pathlib
import subprocess
import tempfile
import unittest

from program import NANO, PROGRAM, call, call_lines, main

COMMANDS = ("run", "chat", "tokenize", "detokenize", "render", "parse")
HELLO = {"messages": [{"role": "user", "content": " Hi "}], "flags": {"add_generation_prompt": True}}
HELLO_PROMPT = "<bos><|turn>user\nHi<turn|>\n<|turn>model\n"


class Usage(unittest.TestCase):
    def expect_failure(self, code, *arguments, stdin=""):
        done = call(*arguments, stdin=stdin)
        self.assertEqual(done.returncode, code, (arguments, done.stderr))
        self.assertEqual(done.stdout, "")
        self.assertTrue(done.stderr.startswith("gemlet: "), done.stderr)
        if code == 1:
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        return done.stderr

    def test_wrong_usage_is_2(self):
        self.expect_failure(2)
        self.expect_failure(2, "dance")
        for command in COMMANDS:
            self.expect_failure(2, command)
            self.expect_failure(2, command, NANO, "--no-such-option")
        self.expect_failure(2, "run", NANO, "-p", "x", "--temperature", "warm")
        self.expect_failure(2, "run", NANO, "-p", "x", "--raw", "--system", "y")
        self.expect_failure(2, "render", NANO, "--template", "7b")

    def test_counts_are_whole_numbers_from_0_on(self):
        for value in ("-1", "99999999999999999999", "1e3", "nan"):
            for option in ("--max-tokens", "--top-k", "--seed"):
                self.assertIn(option, self.expect_failure(2, "run", NANO, "-p", "x", option, value))
            self.assertIn("-p", self.expect_failure(2, "bench", NANO, "-p", value))

    def test_the_largest_picture_is_chosen(self):
        with tempfile.TemporaryDirectory() as folder:
            picture = pathlib.Path(folder, "grey.ppm")
            picture.write_bytes(b"P6 1001 1000 255\n" + bytes([128]) * 3003000)
            arguments = ("run", NANO, "-p", "What is this?", "--image", picture, "--budget", 70, "--max-tokens", 2,
                         "--max-megapixels")
            self.assertIn("more pixels than the limit", self.expect_failure(1, *arguments, 1))
            self.assertEqual(call(*arguments, 2).returncode, 0)
            self.expect_failure(2, *arguments, 0)

    def test_a_prompt_must_be_there(self):
        for arguments in ([], ["-p", ""], ["-p", "-"], ["--raw", "-p", ""]):
            self.assertIn("no prompt", self.expect_failure(2, "run", NANO, *arguments))

    def test_help_is_everywhere(self):
        for command in ("", *COMMANDS):
            done = call(*([command] if command else []), "--help")
            self.assertEqual(done.returncode, 0)
            self.assertIn("Usage", done.stdout)

    def test_a_missing_model_is_named(self):
        for command in COMMANDS:
            arguments = ["-p", "x"] if command == "run" else []
            text = self.expect_failure(1, command, "/no/such/model", *arguments, stdin="[]")
            self.assertIn("/no/such/model", text)

    def test_a_broken_directory_is_an_error(self):
        with tempfile.TemporaryDirectory() as folder:
            self.expect_failure(1, "run", folder, "-p", "x")
            self.expect_failure(1, "tokenize", folder, "x")
            for name in ("config.json", "tokenizer.json"):
                pathlib.Path(folder, name).write_text("{\"model_type\": [", encoding="utf-8")
            self.expect_failure(1, "run", folder, "-p", "x")
            self.expect_failure(1, "tokenize", folder, "x")
            self.expect_failure(1, "render", folder, stdin=json.dumps(HELLO))
            for source in NANO.iterdir():
                data = source.read_bytes()
                pathlib.Path(folder, source.name).write_bytes(data[:len(data) // 2])
            self.expect_failure(1, "run", folder, "-p", "x")
            cut = pathlib.Path(folder, "cut.gguf")
            cut.write_bytes(b"GGUF\x03\0\0\0")
            for command in ("tokenize", "detokenize", "render", "parse"):
                self.expect_failure(1, command, cut, stdin="[]")

    def test_values_out_of_range_are_named(self):
        for name in ("top-p", "min-p", "temperature"):
            text = self.expect_failure(1, "run", NANO, "-p", "x", "--" + name, "-3")
            self.assertIn(name.replace("-", "_"), text)
        self.expect_failure(1, "run", NANO, "-p", "a long prompt " * 50, "--context", 64)


class TextTools(unittest.TestCase):
    def test_tokenize_and_back(self):
        text = "Grüße, 42 cats <eos>\n"
        ids = json.loads(call("tokenize", NANO, text).stdout)
        self.assertEqual(json.loads(call("tokenize", NANO, stdin=text).stdout), ids)
        self.assertNotIn(1, ids)
        self.assertIn(1, json.loads(call("tokenize", NANO, "--special", text).stdout))
        listed = ",".join(map(str, ids))
        for form in (listed, json.dumps(ids), listed.replace(",", " ")):
            self.assertEqual(call("detokenize", NANO, form).stdout, text)
            self.assertEqual(call("detokenize", NANO, stdin=form).stdout, text)
        self.assertEqual(call("tokenize", NANO, "").stdout, "[]\n")

    def test_detokenize_refuses_what_is_no_id(self):
        for form in ("2,x", "[1.5]", "[\"a\"]", "99999999", "-4", "[4294967298]"):
            self.assertEqual(call("detokenize", NANO, "--", form).returncode, 1, form)

    def test_a_bad_line_keeps_its_place(self):
        for command in ("tokenize", "detokenize", "render", "parse"):
            done = call(command, NANO, "--jsonl", stdin="{]\n\n7\n")
            self.assertEqual(done.returncode, 0)
            lines = [json.loads(line) for line in done.stdout.splitlines()]
            self.assertEqual([list(line) for line in lines], [["error"]] * 2, command)

    def test_render_reads_files_and_input(self):
        text = json.dumps(HELLO)
        self.assertEqual(call("render", NANO, stdin=text).stdout, HELLO_PROMPT)
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            file.write(text)
            file.flush()
            self.assertEqual(call("render", NANO, file.name).stdout, HELLO_PROMPT)
        self.assertEqual(call("render", NANO, "--template", "31b", stdin=text).stdout,
                         HELLO_PROMPT + "<|channel>thought\n<channel|>")
        answers = call_lines([HELLO, {"messages": 3}], "render", NANO)
        self.assertEqual(answers[0], {"prompt": HELLO_PROMPT})
        self.assertEqual(list(answers[1]), ["error"])

    def test_parse_reads_raw_text(self):
        raw = "<|channel>thought\nhm\n<channel|><|tool_call>call:go{to:<|\"|>B<|\"|>}<tool_call|>"
        parsed = json.loads(call("parse", NANO, stdin=raw).stdout)
        self.assertEqual(parsed["reasoning_content"], "hm")
        self.assertEqual(parsed["finish_reason"], "tool_calls")
        self.assertEqual(parsed["tool_calls"][0]["function"], {"name": "go",
                                                               "arguments": "{\"to\":\"B\"}"})
        cut = call_lines([{"raw": raw[:-14], "finish": "length"}], "parse", NANO)[0]
        self.assertEqual((cut["finish_reason"], cut["tool_calls"]), ("length", []))

    def test_lines_are_answered_while_the_input_is_open(self):
        with subprocess.Popen([PROGRAM, "tokenize", str(NANO), "--jsonl"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, encoding="utf-8") as process:
            for text in ("one", "two"):
                process.stdin.write(json.dumps(text) + "\n")
                process.stdin.flush()
                self.assertTrue(json.loads(process.stdout.readline()))
            process.stdin.close()
            self.assertEqual(process.wait(timeout=60), 0)

    def test_a_reader_that_leaves_is_no_error(self):
        with subprocess.Popen([PROGRAM, "tokenize", str(NANO), "--jsonl"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            process.stdout.close()
            _, errors = process.communicate(b"\"some text\"\n" * 100, timeout=60)
            self.assertEqual((process.returncode, errors), (0, b""))


main()
