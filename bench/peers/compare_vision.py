"""One picture through a vision encoder in gemlet and in llama.cpp's mtmd, in turns.

All sides read the same mmproj file and picture, aim at the same number of soft tokens and get the
same number of threads; each turn measures all of them, so that a slow minute of a shared machine
hits all. Prints the median and spread of each side and the ratios of the medians, of time on the
clock and of processor time (on a busy machine look at the latter, with one thread: nobody waits for
anybody then); the last line is the whole result as JSON. MODEL is the text model: its width is checked, nothing of it is computed.
"""
import argparse
import ctypes
import struct
import tempfile
import zlib

import llama_cpp.mtmd_cpp as mtmd
import numpy as np

from turns import Gemlet, Mtmd, report, take_turns


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
        bitmap = mtmd.mtmd_bitmap_init(
            width, height, pixels.ctypes.data_as(ctypes.POINTER(ctypes.c_ubyte)))
        sides = {"mtmd": Mtmd(args.model, args.mmproj, args.threads, bitmap, args.budget)}
        for precision in ("f32", "int8"):
            sides[precision] = Gemlet(args.program, args.model, args.mmproj, picture, args.budget,
                                      args.threads, precision)
        runs = take_turns(sides, args.runs)
    report(runs, {"threads": args.threads, "budget": args.budget, "size": args.size})


if __name__ == "__main__":
    main()
