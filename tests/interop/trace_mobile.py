"""Where the numpy reference and gemlet part on a mobile checkpoint, and whether a rounding tie is why.

Usage: trace_mobile.py GEMLET CHECKPOINT REFERENCE
REFERENCE is the specification's reference_qat.py. The reference runs in float32 and in float64, gemlet once; all three are
the same function with other roundings. Prints the first position whose logits differ, and there the first int8 code that the
two references round differently: its value in steps and how far from the half it lies. A mistake of a reader or writer would
show as a difference from both references, or as a first code that is nowhere near a half. Exits with 1 then.
"""

import importlib.util
import subprocess
import sys
import tempfile

import numpy as np

N_POSITIONS = 60
SAME = 1e-3  # logits: noise of float32 is some 1e-5, a flipped code moves them by 1e-2 and more


def load(path):
    spec = importlib.util.spec_from_file_location("reference_qat", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def gemlet_logits(gemlet, checkpoint, ids):
    with tempfile.TemporaryDirectory() as folder:
        out = folder + "/logits.npy"
        subprocess.run([gemlet, "logits", checkpoint, "--ids", ",".join(map(str, ids)), "--out", out, "--all",
                        "--kv", "f32", "--threads", "1"], check=True)
        return np.load(out)


def first_flip(single, double, position):
    """The first code of a position that differs: name, side, value in steps, distance from the half."""
    for name, log in single.items():
        for codes, values, scale in (("q", "x", "s_in"), ("out", "y", "s_out")):
            if log.get(codes) is None:
                continue
            differs = log[codes][position] != double[name][codes][position]
            if differs.any():
                column = int(np.argmax(differs))
                value = float(double[name][values][position][column]) / float(log[scale])
                return name, codes, value, abs(abs(value - np.floor(value)) - 0.5)
    return None


def main():
    gemlet, checkpoint, reference = sys.argv[1:4]
    module = load(reference)
    ids = [2] + [int(i) for i in np.random.default_rng(1).integers(300, 1900, N_POSITIONS)]
    single, double = {}, {}
    a, _ = module.Model(checkpoint).forward(ids, "float", single)
    b, _ = module.Model(checkpoint, np.float64).forward(ids, "float", double)
    ours = gemlet_logits(gemlet, checkpoint, ids)
    unexplained, shown = 0, False
    for position in range(len(ids)):
        to_single, to_double, apart = (float(np.abs(x - y).max()) for x, y in (
            (ours[position], a[position]), (ours[position], b[position]), (a[position], b[position])))
        unexplained += min(to_single, to_double) > SAME
        if apart > SAME and unexplained == 0 and not shown:
            name, side, value, distance = first_flip(single, double, position)
            print(f"position {position}: {name} {side} = {value:.7f} steps, {distance:.1e} from the half")
            unexplained += distance > 1e-4
            shown = True
        if max(to_single, to_double, apart) > SAME:
            print(f"position {position}: from float32 {to_single:.1e}, from float64 {to_double:.1e}, "
                  f"these two {apart:.1e}")
    print(f"{unexplained} of {len(ids)} positions agree with neither reference")
    sys.exit(unexplained != 0)


main()
