"""The small model's chat scores, from both containers. The reference was made in float32 by another
implementation; an answer near a tie may differ."""

import unittest

from program import NANO, SHARED, call, main, read_jsonl, skip_without

EVAL = SHARED / "data/nano/eval/chat.jsonl"
GGUF = SHARED / "data/nano/gguf/gemma-4-nano-bf16.gguf"
MOST_TOKENS = 256


class NanoScores(unittest.TestCase):
    def check(self, model):
        cases = read_jsonl(EVAL)
        answers = [call("run", model, "--raw", "-p", case["prompt"], "--temperature", 0,
                        "--max-tokens", MOST_TOKENS).stdout for case in cases]
        pairs = list(zip(answers, cases))
        same = sum(answer == case["reference"] for answer, case in pairs)
        exact = sum(answer == case["expected"] for answer, case in pairs)
        print(f"{model}: {same} as the reference, {exact} exact")
        self.assertGreaterEqual(same, len(cases) - 2)
        self.assertLessEqual(abs(exact - 83), 2)

    def test_directory(self):
        self.check(NANO)

    def test_gguf(self):
        self.check(GGUF)


skip_without(EVAL)
main()
