"""Our GGUF files in the gguf Python package: every tensor is there, of the source's shape, and near the source's values.

Usage: read_with_gguf.py GEMLET BF16_GGUF FOLDER [TYPE..]
Needs `pip install gguf numpy`. Prints one row per type: tensors, the largest relative error of a quantised one as the package
dequantises it, and the bound for it. A file that the package cannot read, or a row beyond the bound, ends with status 1.
"""

import pathlib
import subprocess
import sys

import gguf
import numpy as np

# Relative root mean square error of a normal distribution at these widths, with room for the mixes' smaller types.
BOUNDS = {"q8_0": 0.01, "q6_k": 0.03, "q5_k": 0.06, "q4_k": 0.11, "q4_0": 0.13, "iq4_nl": 0.12, "iq4_xs": 0.12, "q3_k": 0.25,
          "q2_k": 0.45}


def tensors(path):
    return {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}


def values(tensor):
    return gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float64)


def worst_error(source, ours):
    assert source.keys() == ours.keys(), source.keys() ^ ours.keys()
    worst = 0
    for name, tensor in ours.items():
        assert list(tensor.shape) == list(source[name].shape), name
        wanted, got = values(source[name]), values(tensor)
        assert np.isfinite(got).all(), name
        worst = max(worst, float(np.sqrt(((got - wanted) ** 2).sum() / (wanted ** 2).sum())))
    return worst


def main():
    gemlet, model, folder = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
    source, failed = tensors(model), False
    print("| type | tensors | largest relative error | bound |")
    for name in sys.argv[4:] or BOUNDS:
        path = folder / f"{name}.gguf"
        subprocess.run([gemlet, "quantize", model, path, "--scheme", "gguf:" + name, "--method", "search"], check=True,
                       capture_output=True)
        ours = tensors(path)
        worst = worst_error(source, ours)
        failed = failed or worst > BOUNDS[name]
        print(f"| {name} | {len(ours)} | {worst:.4f} | {BOUNDS[name]} |", flush=True)
    sys.exit(failed)


main()
