"""Thirty seconds of sound through an audio encoder in gemlet and in llama.cpp's mtmd, in turns.

All sides read the same mmproj file and samples and get the same number of threads; each turn
measures all of them, mel frames included, so that a slow minute of a shared machine hits all.
Prints the median and spread of each side and the ratios of the medians, of time on the clock and
of processor time (on a busy machine look at the latter, with one thread); the last line is the
whole result as JSON. MODEL is the text model: its width is checked, nothing of it is computed.
"""
import argparse
import ctypes
import json
import statistics
import subprocess
import sys
import tempfile
import time
import wave

import llama_cpp
import llama_cpp.mtmd_cpp as mtmd
import numpy as np

RATE, SECONDS = 16000, 30


class Mtmd:
    """An mmproj file opened by llama.cpp's multimodal library."""

    def __init__(self, model, mmproj, samples, threads):
        settings = llama_cpp.llama_model_default_params()
        settings.vocab_only = True
        self.model = llama_cpp.llama_load_model_from_file(model.encode(), settings)
        options = mtmd.mtmd_context_params_default()
        options.use_gpu = False
        options.n_threads = threads
        options.print_timings = False
        self.context = mtmd.mtmd_init_from_file(mmproj.encode(), self.model, options)
        self.samples = np.ascontiguousarray(samples)
        self.bitmap = mtmd.mtmd_bitmap_init_from_audio(
            len(samples), self.samples.ctypes.data_as(ctypes.POINTER(ctypes.c_float)))
        self.marker = mtmd.mtmd_default_marker()

    def measure(self):
        """Returns milliseconds on the clock and of the processors, and the number of soft tokens."""
        start, start_cpu = time.perf_counter(), time.process_time()
        chunks = mtmd.mtmd_input_chunks_init()
        text = mtmd.mtmd_input_text(self.marker, len(self.marker), True, True)
        bitmaps = (mtmd.mtmd_bitmap_p_ctypes * 1)(self.bitmap)
        if mtmd.mtmd_tokenize(self.context, chunks, ctypes.byref(text), bitmaps, 1) != 0:
            raise RuntimeError("mtmd_tokenize failed")
        count = 0
        for i in range(mtmd.mtmd_input_chunks_size(chunks)):
            chunk = mtmd.mtmd_input_chunks_get(chunks, i)
            if mtmd.mtmd_input_chunk_get_type(chunk) != mtmd.MTMD_INPUT_CHUNK_TYPE_AUDIO:
                continue
            count += mtmd.mtmd_input_chunk_get_n_tokens(chunk)
            if mtmd.mtmd_encode_chunk(self.context, chunk) != 0:
                raise RuntimeError("mtmd_encode_chunk failed")
        mtmd.mtmd_input_chunks_free(chunks)
        return (1000 * (time.perf_counter() - start), 1000 * (time.process_time() - start_cpu),
                count)


class Gemlet:
    """bench/peers/encode_sound, waiting for its turn."""

    def __init__(self, program, model, mmproj, sound, threads, precision):
        self.process = subprocess.Popen([program, model, mmproj, sound, str(threads), precision],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def measure(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        clock, cpu, count = self.process.stdout.readline().split()
        return float(clock), float(cpu), int(count)


def chirps():
    """Rising tones of changing loudness, with noise; as 16-bit values."""
    t = np.arange(RATE * SECONDS) / RATE
    x = 0.3 * np.sin(2 * np.pi * (200 + 300 * t) * t) * (0.2 + np.abs(np.sin(3 * t)))
    x += 0.02 * np.random.default_rng(1).normal(size=len(t))
    return (np.clip(x, -1, 1) * 32767).astype("<i2")


def cpu_name():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return names[0] if names else "unknown"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", help="build/bench/bench/encode_sound")
    parser.add_argument("model")
    parser.add_argument("mmproj")
    parser.add_argument("--qat", help="QAT mobile checkpoint to measure as well")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()

    values = chirps()
    with tempfile.TemporaryDirectory() as folder:
        sound = folder + "/chirps.wav"
        with wave.open(sound, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(values.tobytes())
        samples = values.astype(np.float32) / 32768
        sides = {"mtmd": Mtmd(args.model, args.mmproj, samples, args.threads)}
        for precision in ("f32", "int8"):
            sides[precision] = Gemlet(args.program, args.model, args.mmproj, sound, args.threads,
                                      precision)
        if args.qat:
            sides["qat"] = Gemlet(args.program, args.qat, "", sound, args.threads, "auto")
        for side in sides.values():
            side.measure()  # buffers allocated, weights in memory
        runs = {name: [] for name in sides}
        for _ in range(args.runs):
            for name, side in sides.items():
                runs[name].append(side.measure())
                print(name, *runs[name][-1], file=sys.stderr, flush=True)
    result = {"cpu": cpu_name(), "threads": args.threads, "seconds": SECONDS}
    for name, measured in runs.items():
        clock = [run[0] for run in measured]
        result[name] = {"ms": round(statistics.median(clock)), "min": round(min(clock)),
                        "max": round(max(clock)), "soft_tokens": measured[0][2],
                        "cpu_ms": round(statistics.median(run[1] for run in measured))}
        print(f"{name:5} {result[name]}")
    for precision in [name for name in sides if name != "mtmd"]:
        ratios = [round(result["mtmd"][what] / result[precision][what], 2)
                  for what in ("ms", "cpu_ms")]
        result["mtmd_over_" + precision] = ratios
        print(f"mtmd takes {ratios[0]} times as long as gemlet {precision} "
              f"({ratios[1]} times in processor time)")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
