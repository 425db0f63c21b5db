"""What compare_vision.py and compare_audio.py share: both sides of an encoder, and their turns."""
import ctypes
import json
import statistics
import subprocess
import sys
import time

import llama_cpp
import llama_cpp.mtmd_cpp as mtmd


class Mtmd:
    """An mmproj file opened by llama.cpp's multimodal library."""

    def __init__(self, model, mmproj, threads, bitmap, budget=None):
        """bitmap: what mtmd calls a picture or a sound. budget: soft tokens of a picture."""
        settings = llama_cpp.llama_model_default_params()
        settings.vocab_only = True
        self.model = llama_cpp.llama_load_model_from_file(model.encode(), settings)
        options = mtmd.mtmd_context_params_default()
        options.use_gpu = False
        options.n_threads = threads
        options.print_timings = False
        if budget is not None:
            options.image_min_tokens = options.image_max_tokens = budget
        self.context = mtmd.mtmd_init_from_file(mmproj.encode(), self.model, options)
        self.bitmap = bitmap
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
            if mtmd.mtmd_input_chunk_get_type(chunk) == mtmd.MTMD_INPUT_CHUNK_TYPE_TEXT:
                continue
            count += mtmd.mtmd_input_chunk_get_n_tokens(chunk)
            if mtmd.mtmd_encode_chunk(self.context, chunk) != 0:
                raise RuntimeError("mtmd_encode_chunk failed")
        mtmd.mtmd_input_chunks_free(chunks)
        return (1000 * (time.perf_counter() - start), 1000 * (time.process_time() - start_cpu),
                count)


class Gemlet:
    """bench/peers/encode_picture or encode_sound, waiting for its turn."""

    def __init__(self, program, *arguments):
        self.process = subprocess.Popen([program, *map(str, arguments)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def measure(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        clock, cpu, count = self.process.stdout.readline().split()
        return float(clock), float(cpu), int(count)


def cpu_name():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return names[0] if names else "unknown"


def take_turns(sides, n_runs):
    """Measures every side n_runs times, in turns. Returns the measurements of each."""
    for side in sides.values():
        side.measure()  # buffers allocated, weights in memory
    runs = {name: [] for name in sides}
    for _ in range(n_runs):
        for name, side in sides.items():
            runs[name].append(side.measure())
            print(name, *runs[name][-1], file=sys.stderr, flush=True)
    return runs


def report(runs, facts):
    """Prints medians, spreads and ratios to the side "mtmd"; last a line of JSON that begins with
    the CPU and the facts."""
    result = {"cpu": cpu_name(), **facts}
    for name, measured in runs.items():
        clock = [run[0] for run in measured]
        result[name] = {"ms": round(statistics.median(clock)), "min": round(min(clock)),
                        "max": round(max(clock)), "soft_tokens": measured[0][2],
                        "cpu_ms": round(statistics.median(run[1] for run in measured))}
        print(f"{name:5} {result[name]}")
    for name in [name for name in runs if name != "mtmd"]:
        ratios = [round(result["mtmd"][what] / result[name][what], 2) for what in ("ms", "cpu_ms")]
        result["mtmd_over_" + name] = ratios
        print(f"mtmd takes {ratios[0]} times as long as gemlet {name} "
              f"({ratios[1]} times in processor time)")
    print(json.dumps(result))
