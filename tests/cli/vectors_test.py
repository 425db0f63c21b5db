"""Every tokenizer and chat vector through the program, with a vocabulary-only model."""

import json
import unittest

from program import SHARED, call_lines, main, read_jsonl, skip_without

TOKENIZER = SHARED / "data/tokenizer"
CHAT = SHARED / "data/chat"
MODEL = TOKENIZER / "gemma4-vocab.gguf"


def comparable(response):
    """A response with its call arguments read: they are compared as values."""
    calls = [(call["type"], call["function"]["name"], json.loads(call["function"]["arguments"]))
             for call in response["tool_calls"]]
    return (response["reasoning_content"], response["content"], calls, response["finish_reason"])


class Vectors(unittest.TestCase):
    def check(self, cases, answers, expected):
        self.assertEqual(len(cases), len(answers))
        for case, answer in zip(cases, answers):
            self.assertEqual(answer, expected(case), case)

    def test_encode(self):
        for special in (False, True):
            cases = [case for case in read_jsonl(TOKENIZER / "encode.jsonl")
                     if case["parse_special"] is special]
            answers = call_lines([case["text"] for case in cases], "tokenize", MODEL,
                                 *(["--special"] if special else []))
            self.check(cases, answers, lambda case: case["ids"])

    def test_decode(self):
        for skip in (False, True):
            cases = [case for case in read_jsonl(TOKENIZER / "decode.jsonl")
                     if case["skip_special"] is skip]
            answers = call_lines([case["ids"] for case in cases], "detokenize", MODEL,
                                 *(["--skip-special"] if skip else []))
            self.check(cases, answers, lambda case: case["text"])

    def test_render(self):
        for template in ("e2b", "31b"):
            cases = [case for case in read_jsonl(CHAT / "render.jsonl")
                     if case["template"] == template]
            requests = [{key: case[key] for key in ("messages", "tools", "flags")}
                        for case in cases]
            answers = call_lines(requests, "render", MODEL, "--template", template)
            for answer in answers:
                self.assertNotEqual("prompt" in answer, "error" in answer)
            self.check(cases, [answer.get("prompt") for answer in answers],
                       lambda case: case["prompt"])

    def test_parse(self):
        cases, requests = [], []
        for case in read_jsonl(CHAT / "parse.jsonl"):
            for split in [None, *case["splits"]]:
                cases.append(case)
                requests.append({"raw": case["raw"], "start": case["start"],
                                 "finish": case["finish"], "split": split})
        answers = call_lines(requests, "parse", MODEL)
        self.check(cases, [comparable(answer) for answer in answers], comparable)


skip_without(MODEL)
main()
