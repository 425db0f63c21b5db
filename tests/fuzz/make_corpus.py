#!/usr/bin/env python3
"""Writes the binary seeds of corpus/gguf and corpus/safetensors (standard library only).

Run it in this folder. Every seed is a sound file; the mutations of replay_main.cpp break them.
"""
import json
import pathlib
import struct

HERE = pathlib.Path(__file__).parent / "corpus"


def text(value):
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def scalar(key, kind, form, value):
    return text(key) + struct.pack("<I" + form, kind, value)


def string(key, value):
    return text(key) + struct.pack("<I", 8) + text(value)


def array(key, element, count, payload):
    return text(key) + struct.pack("<IIQ", 9, element, count) + payload


def gguf(values, tensors=(), version=3, alignment=32):
    """tensors: (name, dims, type number, number of bytes), laid out one after the other."""
    out = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(values)) + b"".join(values)
    data = b""
    for name, dims, kind, size in tensors:
        data += bytes(-len(data) % alignment)
        out += text(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, len(data))
        data += bytes(i & 255 for i in range(size))
    return out + bytes(-len(out) % alignment) + data if tensors else out


def safetensors(tensors, metadata=None, pad=0):
    header, begin = {}, 0
    if metadata is not None:
        header["__metadata__"] = metadata
    for name, dtype, shape, size in tensors:
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, begin + size]}
        begin += size
    raw = json.dumps(header, separators=(",", ":")).encode() + b" " * pad
    return struct.pack("<Q", len(raw)) + raw + bytes(i & 255 for i in range(begin))


def main():
    words = ["<pad>", "<eos>", "\u2581the", "", "x"]
    files = {
        "gguf/vocabulary": gguf([
            string("general.architecture", "gemma4"),
            array("tokenizer.ggml.tokens", 8, len(words), b"".join(map(text, words))),
            array("tokenizer.ggml.scores", 6, 5, struct.pack("<5f", 0, -1, 2.5, -1000, 1e30)),
            array("tokenizer.ggml.token_type", 5, 5, struct.pack("<5i", 3, 3, 1, 5, 1)),
            scalar("tokenizer.ggml.add_bos_token", 7, "B", 1),
        ]),
        "gguf/model": gguf([
            string("general.architecture", "gemma4"),
            scalar("gemma4.block_count", 4, "I", 2),
            scalar("gemma4.rope.freq_base", 6, "f", 1e6),
            array("gemma4.attention.sliding_window_pattern", 7, 2, b"\1\0"),
        ], [("token_embd.weight", [32, 4], 2, 72), ("output_norm.weight", [32], 0, 128),
            ("blk.0.attn_q.weight", [256, 2], 12, 288), ("blk.0.x", [2, 1, 2, 1], 30, 8)]),
        "gguf/aligned_v2": gguf([scalar("general.alignment", 4, "I", 64)],
                                [("a", [1], 28, 8), ("b", [64], 40, 36)], 2, 64),
        "gguf/every_type": gguf([
            scalar(f"k{kind}", kind, form, 1)
            for kind, form in enumerate("BbHhIifB")
        ] + [scalar("k10", 10, "Q", 2**63), scalar("k11", 11, "q", -1), scalar("k12", 12, "d", .5),
             array("empty", 8, 0, b"")]),
        "safetensors/plain": safetensors(
            [("a.weight", "BF16", [2, 3], 12), ("b", "F32", [], 4), ("c", "I64", [1], 8),
             ("d", "U8", [1, 1, 1, 2], 2)], {"format": "pt"}, 3),
        "safetensors/empty": safetensors([]),
        "safetensors/header.json": safetensors(
            [("a.weight", "BF16", [2, 3], 12), ("b", "F32", [1], 4), ("c", "I8", [4], 4)],
            {"format": "pt"})[8:-20],  # for 20 bytes of data
        "safetensors/index.json": json.dumps({
            "metadata": {"total_size": 12},
            "weight_map": {"a": "m-1.safetensors", "b": "m-2.safetensors", "c": "m-1.safetensors"},
        }).encode(),
    }
    for name, raw in files.items():
        (HERE / name).write_bytes(raw)


if __name__ == "__main__":
    main()
