"""Pictures and speech of a quantised model beside the original: within one point of it?

Usage: score_media.py GEMLET ORIGINAL QUANTISED EVALUATION [EVERY]
EVALUATION holds images/answers.jsonl and speech/transcripts.jsonl as the small test model's does; only every EVERY-th case is
asked (default 1). Prints one row per model and ends with status 1 where the word error rate is more than one point higher, or
exact answers about pictures are more than one point fewer, or a case cannot be run.
"""

import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "cli"))
from word_errors import word_errors, words  # noqa: E402


def answer(gemlet, model, option, path, prompt):
    done = subprocess.run([gemlet, "run", model, option, path, "--temperature", "0", "--json", "--budget", "70", "-p", prompt],
                          capture_output=True, encoding="utf-8", check=True)
    return json.loads(done.stdout)["content"].strip()


def scores(gemlet, model, folder, every):
    """Word error rate of first lines and share of exact answers, in percent."""
    cases = {}
    for name in ("speech/transcripts.jsonl", "images/answers.jsonl"):
        cases[name] = [json.loads(line) for line in (folder / name).read_text(encoding="utf-8").splitlines()][::every]
    wrong = total = exact = 0
    for case in cases["speech/transcripts.jsonl"]:
        got = answer(gemlet, model, "--audio", folder / case["file"], case["prompt"])
        wanted = words(case["expected"])
        wrong += word_errors(words(got), wanted)
        total += len(wanted)
    for case in cases["images/answers.jsonl"]:
        exact += answer(gemlet, model, "--image", folder / case["file"], case["prompt"]) == case["expected"].strip()
    return 100 * wrong / total, 100 * exact / len(cases["images/answers.jsonl"])


def main():
    gemlet, original, quantised, folder = sys.argv[1:5]
    every = int(sys.argv[5]) if len(sys.argv) > 5 else 1
    print("| model | word error rate | pictures |\n| --- | --- | --- |")
    result = {}
    for model in (original, quantised):
        result[model] = scores(gemlet, model, pathlib.Path(folder), every)
        print("| {} | {:.2f} % | {:.1f} % |".format(pathlib.Path(model).name, *result[model]), flush=True)
    (error, exact), (our_error, our_exact) = result[original], result[quantised]
    sys.exit(our_error > error + 1 or our_exact < exact - 1)


main()
