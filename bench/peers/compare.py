"""Prefill and decode of one GGUF file in gemlet and in llama.cpp, in turns.

Both sides get the same number of threads, prompt length and tokens to generate; each turn measures
one and then the other, so that a slow minute of a shared machine hits both. Prints the median of
each side, the spread, and the ratio of the medians; the last line is the whole result as JSON.
"""
import argparse
import json
import statistics
import subprocess
import time

import llama_cpp


class LlamaCpp:
    """One loaded model; prompt and generated tokens are arbitrary ids."""

    def __init__(self, model, context, threads):
        self.llama = llama_cpp.Llama(
            model_path=model, n_ctx=context, n_batch=512, n_ubatch=512, n_threads=threads,
            n_threads_batch=threads, flash_attn=True, verbose=False)

    def measure(self, n_prompt, n_generate):
        """Returns tokens per second of prefill and of decode."""
        self.llama.reset()
        prompt = [2] + [1000 + 37 * i % 50000 for i in range(n_prompt - 1)]
        start = time.perf_counter()
        self.llama.eval(prompt)
        prefilled = time.perf_counter()
        for i in range(n_generate):
            self.llama.eval([2000 + 41 * i])
        done = time.perf_counter()
        return n_prompt / (prefilled - start), n_generate / (done - prefilled)


def measure_gemlet(program, model, n_prompt, n_generate, context, threads):
    """Returns the object that `gemlet bench --json` prints."""
    command = [program, "bench", model, "-p", str(n_prompt), "-n", str(n_generate), "-r", "1",
               "--depth", "0", "--context", str(context), "--threads", str(threads), "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def summary(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("gemlet")
    parser.add_argument("model")
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--generate", type=int, default=64)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()

    context = args.prompt + args.generate + 64
    peer = LlamaCpp(args.model, context, args.threads)
    peer.measure(args.prompt, 2)  # warm page cache, buffers allocated
    results = {"gemlet": {"prefill": [], "decode": []}, "llama.cpp": {"prefill": [], "decode": []}}
    facts = {}
    for _ in range(args.runs):
        facts = measure_gemlet(args.gemlet, args.model, args.prompt, args.generate, context,
                               args.threads)
        results["gemlet"]["prefill"].append(facts["prefill"]["tokens_per_s"])
        results["gemlet"]["decode"].append(facts["decode"]["tokens_per_s"])
        prefill, decode = peer.measure(args.prompt, args.generate)
        results["llama.cpp"]["prefill"].append(prefill)
        results["llama.cpp"]["decode"].append(decode)

    report = {"model": args.model, "prompt": args.prompt, "generate": args.generate,
              "threads": args.threads, "cpu": facts["cpu"], "isa": facts["isa"],
              "llama_cpp_python": llama_cpp.__version__}
    for phase in ("prefill", "decode"):
        ours = summary(results["gemlet"][phase])
        theirs = summary(results["llama.cpp"][phase])
        report[phase] = {"gemlet": ours, "llama.cpp": theirs,
                         "ratio": ours["median"] / theirs["median"]}
        print(f"{phase:8s} gemlet {ours['median']:8.1f} t/s ({ours['min']:.1f} to {ours['max']:.1f})"
              f"   llama.cpp {theirs['median']:8.1f} t/s ({theirs['min']:.1f} to"
              f" {theirs['max']:.1f})   ratio {report[phase]['ratio']:.2f}")
    print(json.dumps(report))


if __name__ == "__main__":
    main()
