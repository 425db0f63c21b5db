"""Writes tests/data/formats/<type>.bin: random blocks and what the format's definition makes of them.

    python3 make_format_goldens.py PATH_OF_REFERENCE_QUANTS

The reference (reference_quants.py of the specification) decodes element by element; its code books
come from the Python package gguf. File, little-endian: magic "GMLTFMT1", u32 seed, u32 n_weights,
u32 n_bytes, the blocks, n_weights float32. Block 1 has negative scales, block 2 zero scales, block
3 subnormal ones, block 4 infinite ones; the others are random with finite halves.
"""
import importlib.util
import pathlib
import struct
import sys

import gguf.quants
import numpy as np

SEED = 20260401
HALVES = {  # byte offsets of the half scales in a block
    "Q4_0": (0,), "Q4_1": (0, 2), "Q5_0": (0,), "Q5_1": (0, 2), "Q8_0": (0,), "Q2_K": (80, 82), "Q3_K": (108,),
    "Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,), "IQ2_XXS": (0,), "IQ2_XS": (0,), "IQ2_S": (0,),
    "IQ3_XXS": (0,), "IQ3_S": (0,), "IQ4_NL": (0,), "IQ4_XS": (0,), "TQ1_0": (52,), "TQ2_0": (64,), "MXFP4": (),
    "NVFP4": (), "Q1_0": (0,), "Q2_0": (0,), "F16": (0,), "BF16": (), "F32": (),
}


def load_reference(path):
    spec = importlib.util.spec_from_file_location("reference_quants", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def code_books():
    books = {}
    for name in ("IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S"):
        kind = getattr(gguf.quants, name)
        kind.init_grid()
        books[name.lower()] = kind.grid.reshape(kind.grid.shape[-2:])
    return books


def random_blocks(rng, name, n_blocks, size):
    blocks = rng.integers(0, 256, (n_blocks, size), dtype=np.uint8)
    fixed = {1: 0xA8F3, 2: 0x0000, 3: 0x0155, 4: 0x7C00}
    for k in range(n_blocks):
        for at in HALVES[name]:
            bits = int(rng.integers(0, 0x7C00)) | int(rng.integers(0, 2)) << 15
            blocks[k, at:at + 2] = np.frombuffer(struct.pack("<H", fixed.get(k, bits)), np.uint8)
    if name == "MXFP4":  # the two subnormal scales, the largest one, the byte that is NaN elsewhere
        blocks[:4, 0] = (0, 1, 254, 255)
    if name == "NVFP4":  # zeros, subnormals, the largest, an ignored top bit
        blocks[:3, :4] = ((0x00, 0x7F, 0x01, 0x07), (0x08, 0x7E, 0xFF, 0x80), (0x87, 0x38, 0x40, 0x77))
    if name in ("F32", "BF16"):  # keep NaN out: exponent field below 255
        blocks[:, size - 1] &= 0xBF
    return blocks


def main():
    reference, books = load_reference(sys.argv[1]), code_books()
    out = pathlib.Path(__file__).resolve().parents[1] / "data" / "formats"
    out.mkdir(parents=True, exist_ok=True)
    for index, (name, (_, weights, size)) in enumerate(reference.LAYOUT.items()):
        rng = np.random.default_rng([SEED, index])
        n_blocks = 8 if weights == 256 else 16 if weights > 1 else 64
        raw = random_blocks(rng, name, n_blocks, size).tobytes()
        with np.errstate(all="ignore"):
            values = reference.decode(name, raw, books).astype("<f4")
        head = b"GMLTFMT1" + struct.pack("<III", SEED, values.size, len(raw))
        (out / f"{name.lower()}.bin").write_bytes(head + raw + values.tobytes())


if __name__ == "__main__":
    main()
