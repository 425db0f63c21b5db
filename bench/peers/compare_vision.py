"""One picture through a vision encoder in gemlet and in llama.cpp's mtmd, in turns.

All sides read the same mmproj file and picture, aim at the same number of soft tokens and get the
same number of threads; each turn measures all of them, so that a slow minute of a shared machine
hits all. Prints the median and spread of each side and the ratios of the medians, of time on the
clock and of processor time (on a busy machine look at the latter, with one thread: nobody waits for
anybody then); the last line is the whole result as JSON. MODEL is the text model: its width is checked, nothing of it is computed.
"""
import argparse
import ctypes
import json
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import zlib

import llama_cpp
import llama_cpp.mtmd_cpp as mtmd
import numpy as np


class Mtmd:
    """An mmproj file opened by llama.cpp's multimodal library."""

    def __init__(self, model, mmproj, pixels, budget, threads):
        settings = llama_cpp.llama_model_default_params()
        settings.vocab_only = True
        self.model = llama_cpp.llama_load_model_from_file(model.encode(), settings)
        options = mtmd.mtmd_context_params_default()
        options.use_gpu = False
        options.n_threads = threads
        options.print_timings = False
        options.image_min_tokens = options.image_max_tokens = budget
        self.context = mtmd.mtmd_init_from_file(mmproj.encode(), self.model, options)
        height, width, _ = pixels.shape
        self.pixels = np.ascontiguousarray(pixels)
        self.bitmap = mtmd.mtmd_bitmap_init(
            width, height, self.pixels.ctypes.data_as(ctypes.POINTER(ctypes.c_ubyte)))
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
            if mtmd.mtmd_input_chunk_get_type(chunk) != mtmd.MTMD_INPUT_CHUNK_TYPE_IMAGE:
                continue
            count = mtmd.mtmd_input_chunk_get_n_tokens(chunk)
            if mtmd.mtmd_encode_chunk(self.context, chunk) != 0:
                raise RuntimeError("mtmd_encode_chunk failed")
        mtmd.mtmd_input_chunks_free(chunks)
        return (1000 * (time.perf_counter() - start), 1000 * (time.process_time() - start_cpu),
                count)


class Gemlet:
    """bench/peers/encode_picture, waiting for its turn."""

    def __init__(self, program, model, mmproj, picture, budget, threads, precision):
        self.process = subprocess.Popen(
            [program, model, mmproj, picture, str(budget), str(threads), precision],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def measure(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        clock, cpu, count = self.process.stdout.readline().split()
        return float(clock), float(cpu), int(count)


def write_png(pixels, path):
    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)

    def chunk(name, data):
        body = name + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n"
                   + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
                   + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b""))


def cpu_name():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return names[0] if names else "unknown"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", help="build/bench/bench/encode_picture")
    parser.add_argument("model")
    parser.add_argument("mmproj")
    parser.add_argument("--budget", type=int, default=280)
    parser.add_argument("--size", default="960x672", help="of the picture, which is noise")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()

    width, height = map(int, args.size.split("x"))
    pixels = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        picture = folder + "/noise.png"
        write_png(pixels, picture)
        sides = {"mtmd": Mtmd(args.model, args.mmproj, pixels, args.budget, args.threads)}
        for precision in ("f32", "int8"):
            sides[precision] = Gemlet(args.program, args.model, args.mmproj, picture, args.budget,
                                      args.threads, precision)
        for side in sides.values():
            side.measure()  # buffers allocated, weights in memory
        runs = {name: [] for name in sides}
        for _ in range(args.runs):
            for name, side in sides.items():
                runs[name].append(side.measure())
                print(name, *runs[name][-1], file=sys.stderr, flush=True)
    result = {"cpu": cpu_name(), "threads": args.threads, "budget": args.budget, "size": args.size}
    for name, measured in runs.items():
        clock = [run[0] for run in measured]
        result[name] = {"ms": round(statistics.median(clock)), "min": round(min(clock)),
                        "max": round(max(clock)), "soft_tokens": measured[0][2],
                        "cpu_ms": round(statistics.median(run[1] for run in measured))}
        print(f"{name:5} {result[name]}")
    for precision in ("f32", "int8"):
        ratios = [round(result["mtmd"][what] / result[precision][what], 2)
                  for what in ("ms", "cpu_ms")]
        result["mtmd_over_" + precision] = ratios
        print(f"mtmd takes {ratios[0]} times as long as gemlet {precision} "
              f"({ratios[1]} times in processor time)")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
