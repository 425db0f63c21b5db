"""Smaller checkpoints from the small model, and the figures that tell how good they are."""

import json
import unittest

from program import NANO, call, main

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


main()
