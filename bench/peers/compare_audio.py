"""Thirty seconds of sound through an audio encoder in gemlet and in llama.cpp's mtmd, in turns.

All sides read the same mmproj file and samples and get the same number of threads; each turn
measures all of them, mel frames included, so that a slow minute of a shared machine hits all.
Prints the median and spread of each side and the ratios of the medians, of time on the clock and
of processor time (on a busy machine look at the latter, with one thread); the last line is the
whole result as JSON. MODEL is the text model: its width is checked, nothing of it is computed.
"""
import argparse
import ctypes
import tempfile
import wave

import llama_cpp.mtmd_cpp as mtmd
import numpy as np

from turns import Gemlet, Mtmd, report, take_turns

RATE, SECONDS = 16000, 30


def chirps():
    """Rising tones of changing loudness, with noise; as 16-bit values."""
    t = np.arange(RATE * SECONDS) / RATE
    x = 0.3 * np.sin(2 * np.pi * (200 + 300 * t) * t) * (0.2 + np.abs(np.sin(3 * t)))
    x += 0.02 * np.random.default_rng(1).normal(size=len(t))
    return (np.clip(x, -1, 1) * 32767).astype("<i2")


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
        bitmap = mtmd.mtmd_bitmap_init_from_audio(
            len(samples), samples.ctypes.data_as(ctypes.POINTER(ctypes.c_float)))
        sides = {"mtmd": Mtmd(args.model, args.mmproj, args.threads, bitmap)}
        for precision in ("f32", "int8"):
            sides[precision] = Gemlet(args.program, args.model, args.mmproj, sound, args.threads,
                                      precision)
        if args.qat:
            sides["qat"] = Gemlet(args.program, args.qat, "", sound, args.threads, "auto")
        runs = take_turns(sides, args.runs)
    report(runs, {"threads": args.threads, "seconds": SECONDS})


if __name__ == "__main__":
    main()
