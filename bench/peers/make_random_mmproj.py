"""Writes full-size random encoders as an mmproj GGUF file, for benchmarks.

Pictures: shapes of E2B/E4B (16 layers, clipped linears) or 26B/31B (27 layers, standardised).
Sounds (--audio): the conformer of E2B/E4B. Weights are noise of standard deviation 1/sqrt(inputs),
so that activations stay finite.
usage: make_random_mmproj.py OUT.gguf [--model e2b|31b] [--audio] [--text-width N]
       [--type bf16|f16|q8_0]
"""
import argparse

import gguf
import numpy as np

SHAPES = {"e2b": (16, 768, 12, 3072, 1536), "31b": (27, 1152, 16, 4304, 5376)}
POSITIONS = 10240
BOUND = 8.0
AUDIO_LAYERS, AUDIO_WIDTH, AUDIO_HEADS, AUDIO_OUT = 12, 1024, 8, 1536
CHANNELS = (128, 32)


def add_audio_metadata(out, text):
    out.add_bool("clip.has_audio_encoder", True)
    out.add_string("clip.audio.projector_type", "gemma4a")
    for key, value in (("projection_dim", text), ("embedding_length", AUDIO_WIDTH),
                       ("feed_forward_length", 4 * AUDIO_WIDTH), ("block_count", AUDIO_LAYERS),
                       ("attention.head_count", AUDIO_HEADS), ("num_mel_bins", 128)):
        out.add_uint32("clip.audio." + key, value)
    out.add_float32("clip.audio.attention.layer_norm_epsilon", 1e-6)


def add_audio(out, matrix, ones, rng, text):
    def noise(name, *shape, scale):
        values = rng.standard_normal(shape, np.float32) * np.float32(scale)
        out.add_tensor(name, values.astype(np.float32))

    def clipped(name, rows, cols):
        matrix(name + ".weight", rows, cols)
        for bound in ("input_min", "input_max", "output_min", "output_max"):
            value = -BOUND if bound.endswith("min") else BOUND
            out.add_tensor(name + "." + bound, np.array([value], np.float32))

    width = AUDIO_WIDTH
    n_in = 1
    for stage, channels in enumerate(CHANNELS):
        noise(f"a.conv1d.{stage}.weight", channels, n_in, 3, 3, scale=(9 * n_in) ** -0.5)
        ones(f"a.conv1d.{stage}.norm.weight", channels)
        n_in = channels
    noise("a.input_projection.weight", width, 32 * n_in, scale=(32 * n_in) ** -0.5)
    for i in range(AUDIO_LAYERS):
        block = f"a.blk.{i}."
        for name in ("ffn_norm", "ffn_post_norm", "ffn_norm_1", "ffn_post_norm_1", "attn_pre_norm",
                     "attn_post_norm", "conv_norm", "norm_conv", "ln2"):
            ones(block + name + ".weight", width)
        for name, rows, cols in (("ffn_up", 4 * width, width), ("ffn_down", width, 4 * width),
                                 ("ffn_up_1", 4 * width, width), ("ffn_down_1", width, 4 * width),
                                 ("attn_q", width, width), ("attn_k", width, width),
                                 ("attn_v", width, width), ("attn_out", width, width),
                                 ("conv_pw1", 2 * width, width), ("conv_pw2", width, width)):
            clipped(block + name, rows, cols)
        matrix(block + "attn_k_rel.weight", width, width)
        ones(block + "per_dim_scale.weight", width // AUDIO_HEADS)
        noise(block + "conv_dw.weight", width, 5, scale=5 ** -0.5)
    matrix("a.pre_encode.out.weight", AUDIO_OUT, width)
    noise("a.pre_encode.out.bias", AUDIO_OUT, scale=0.1)
    matrix("mm.a.input_projection.weight", text, AUDIO_OUT)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out")
    parser.add_argument("--model", choices=SHAPES, default="e2b")
    parser.add_argument("--text-width", type=int)
    parser.add_argument("--type", choices=("bf16", "f16", "q8_0"), default="bf16")
    parser.add_argument("--audio", action="store_true")
    args = parser.parse_args()
    layers, width, heads, inner, text = SHAPES[args.model]
    text = args.text_width or text
    clipped = args.model == "e2b"
    rng = np.random.default_rng(1)
    out = gguf.GGUFWriter(args.out, "clip")
    out.add_type("mmproj")
    out.add_bool("clip.has_vision_encoder", True)
    out.add_string("clip.vision.projector_type", "gemma4v")
    for key, value in (("projection_dim", text), ("image_size", 224), ("patch_size", 16),
                       ("embedding_length", width), ("feed_forward_length", inner),
                       ("block_count", layers), ("attention.head_count", heads)):
        out.add_uint32("clip.vision." + key, value)
    out.add_array("clip.vision.image_mean", [0.0] * 3)
    out.add_array("clip.vision.image_std", [1.0] * 3)
    out.add_float32("clip.vision.attention.layer_norm_epsilon", 1e-6)

    if args.audio:
        add_audio_metadata(out, text)

    def matrix(name, rows, cols):
        values = rng.standard_normal((rows, cols), np.float32) / np.float32(cols**0.5)
        kind = {"bf16": gguf.GGMLQuantizationType.BF16, "f16": gguf.GGMLQuantizationType.F16,
                "q8_0": gguf.GGMLQuantizationType.Q8_0}[args.type]
        if args.type == "q8_0" and cols % 32 != 0:
            kind = gguf.GGMLQuantizationType.F16
        out.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)

    def ones(name, n):
        out.add_tensor(name, (1 + 0.1 * rng.standard_normal(n)).astype(np.float32))

    patch = rng.standard_normal((width, 3, 16, 16), np.float32) / np.float32(768**0.5)
    out.add_tensor("v.patch_embd.weight", patch)
    out.add_tensor("v.position_embd.weight",
                   0.02 * rng.standard_normal((2, POSITIONS, width), np.float32))
    for i in range(layers):
        block = f"v.blk.{i}."
        for name in ("ln1", "ln2", "attn_post_norm", "ffn_post_norm"):
            ones(block + name + ".weight", width)
        for name in ("attn_q_norm", "attn_k_norm"):
            ones(block + name + ".weight", width // heads)
        for name, rows, cols in (("attn_q", width, width), ("attn_k", width, width),
                                 ("attn_v", width, width), ("attn_out", width, width),
                                 ("ffn_gate", inner, width), ("ffn_up", inner, width),
                                 ("ffn_down", width, inner)):
            matrix(block + name + ".weight", rows, cols)
            for bound in ("input_min", "input_max", "output_min", "output_max") if clipped else ():
                value = -BOUND if bound.endswith("min") else BOUND
                out.add_tensor(block + name + "." + bound, np.array([value], np.float32))
    if not clipped:
        out.add_tensor("v.std_bias", 0.1 * rng.standard_normal(width).astype(np.float32))
        ones("v.std_scale", width)
    matrix("mm.input_projection.weight", text, width)
    if args.audio:
        add_audio(out, matrix, ones, rng, text)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


if __name__ == "__main__":
    main()
