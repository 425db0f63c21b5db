"""The small model's transcripts of 60 clips. The reference was made in float32 by another
implementation; an answer near a tie may differ. Word error rate: lower case, no punctuation; of a
translation the first line, which is the transcript."""

import unittest

from program import NANO, SHARED, call, main, read_jsonl, skip_without
from word_errors import word_errors, words

EVAL = SHARED / "data/nano/eval"
CLIPS = EVAL / "speech/transcripts.jsonl"
GGUF = SHARED / "data/nano/gguf/gemma-4-nano-bf16.gguf"
WORD_ERROR_RATE = 3.25  # percent, of the reference


class NanoSpeech(unittest.TestCase):
    def check(self, model, cases):
        answers = [call("run", model, "--audio", EVAL / case["file"], "-p", case["prompt"],
                        "--temperature", 0).stdout.removesuffix("\n") for case in cases]
        pairs = list(zip(answers, cases))
        same = sum(answer == case["reference"] for answer, case in pairs)
        errors = sum(word_errors(words(answer), words(case["expected"])) for answer, case in pairs)
        rate = 100 * errors / sum(len(words(case["expected"])) for case in cases)
        print(f"{model}: {same} of {len(cases)} as the reference, word error rate {rate:.2f} %")
        self.assertGreaterEqual(same, len(cases) - 2)
        return rate

    def test_directory(self):
        rate = self.check(NANO, read_jsonl(CLIPS))
        self.assertLess(abs(rate - WORD_ERROR_RATE), 0.5)

    def test_gguf(self):
        self.check(GGUF, read_jsonl(CLIPS)[::4])


skip_without(CLIPS)
main()
