"""Our quantiser against llama.cpp's, at equal file size and with the same calibration text.

Usage: compare_llama_cpp.py GEMLET BF16_GGUF TEXT FOLDER [TYPE..]
Needs `pip install llama-cpp-python gguf numpy`. Files are written to FOLDER. Prints one table row per type: bytes of both
files, divergence (KL) of both from BF16, and whether llama.cpp gives our file the logits that gemlet gives it.
llama.cpp gets its importance matrix: the mean squares of every matrix' inputs, as it computes them itself.
"""

import ctypes
import json
import pathlib
import subprocess
import sys

import llama_cpp
import numpy as np

FILE_TYPES = {"q4_0": 2, "q4_k": 15, "q2_k": 10, "q3_k": 12, "q5_k": 17, "q6_k": 18, "q8_0": 7, "iq4_xs": 30}
WINDOW = 512
PARTS = ("prose", "docs", "chat", "mixed")
CALIBRATION = pathlib.Path(__file__).parents[2] / "quant/convert/calibration"


class Tensor(ctypes.Structure):
    """The head of a ggml_tensor."""
    _fields_ = [("type", ctypes.c_int), ("buffer", ctypes.c_void_p), ("ne", ctypes.c_int64 * 4),
                ("nb", ctypes.c_size_t * 4), ("op", ctypes.c_int), ("op_params", ctypes.c_int32 * 16),
                ("flags", ctypes.c_int32), ("src", ctypes.c_void_p * 10), ("view_src", ctypes.c_void_p),
                ("view_offs", ctypes.c_size_t), ("data", ctypes.c_void_p), ("name", ctypes.c_char * 64)]


def calibration_tokens(gemlet, model):
    ids = []
    for part in PARTS:
        text = (CALIBRATION / (part + ".txt")).read_text(encoding="utf-8")
        done = subprocess.run([gemlet, "tokenize", model, "--special"], input=text, capture_output=True,
                              encoding="utf-8", check=True)
        ids += json.loads(done.stdout)
    return ids[:8192]


def open_llama(model, callback=None):
    options = dict(model_path=str(model), n_ctx=WINDOW, n_batch=WINDOW, n_ubatch=WINDOW, logits_all=True, verbose=False,
                   n_threads=2)
    if callback is not None:
        original = llama_cpp.llama_context_default_params

        def with_callback():
            params = original()
            params.cb_eval = callback
            return params

        llama_cpp.llama_cpp.llama_context_default_params = with_callback
        llama_cpp.llama_context_default_params = with_callback
    return llama_cpp.Llama(**options)


def importance(gemlet, model):
    """Mean squares of the inputs of every matrix, by its name."""
    sums, counts = {}, {}

    def watch(pointer, ask, _):
        tensor = ctypes.cast(pointer, ctypes.POINTER(Tensor)).contents
        weight, inputs = (ctypes.cast(s, ctypes.POINTER(Tensor)) for s in tensor.src[:2])
        if not weight or not inputs or not weight.contents.name.endswith(b".weight") or inputs.contents.type != 0:
            return not ask
        k, n = inputs.contents.ne[0], inputs.contents.ne[1]
        if weight.contents.ne[0] != k or weight.contents.ne[1] < 2 or tensor.ne[0] != weight.contents.ne[1]:
            return not ask
        if not ask:
            data = np.ctypeslib.as_array(ctypes.cast(inputs.contents.data, ctypes.POINTER(ctypes.c_float)), (n, k))
            name = weight.contents.name
            sums[name] = sums.get(name, 0) + (data.astype(np.float64) ** 2).sum(0)
            counts[name] = counts.get(name, 0) + n
        return True

    callback = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p, ctypes.c_bool, ctypes.c_void_p)(watch)
    llama = open_llama(model, callback)
    ids = calibration_tokens(gemlet, model)
    for at in range(0, len(ids), WINDOW - 1):
        llama.reset()
        llama.eval([llama.token_bos()] + ids[at:at + WINDOW - 1])
    return {name: (sums[name] / counts[name]).astype(np.float32) for name in sums}


def quantize_theirs(model, path, file_type, means):
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = file_type
    entry = llama_cpp.llama_cpp.llama_model_imatrix_data
    table = (entry * (len(means) + 1))()
    for row, (name, values) in zip(table, means.items()):
        row.name = name
        row.data = values.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        row.size = values.size
    params.imatrix = ctypes.cast(table, type(params.imatrix))
    result = llama_cpp.llama_model_quantize(str(model).encode(), str(path).encode(), ctypes.byref(params))
    assert result == 0, result


def divergence(gemlet, model, other, text):
    done = subprocess.run([gemlet, "perplexity", "--compare", model, other, text], capture_output=True, encoding="utf-8",
                          check=True)
    return json.loads(done.stdout)["kl_divergence"]


def logits_agree(gemlet, path, folder):
    """The largest difference of our file's logits in both programs, in units of their spread."""
    ids = [2] + [int(i) for i in np.random.default_rng(1).integers(300, 1900, 40)]
    out = folder / "logits.npy"
    subprocess.run([gemlet, "logits", path, "--ids", ",".join(map(str, ids)), "--out", out, "--all"], check=True)
    ours = np.load(out)
    llama = open_llama(path)
    llama.eval(ids)
    theirs = np.array(llama.scores[:len(ids)])
    return float(np.abs(ours - theirs).max() / theirs.std())


def main():
    gemlet, model, text = sys.argv[1:4]
    folder = pathlib.Path(sys.argv[4])
    means = importance(gemlet, model)
    text_only = folder / "calibration.txt"  # as theirs has it: no pictures and sounds
    text_only.write_text("".join((CALIBRATION / (part + ".txt")).read_text(encoding="utf-8") for part in PARTS),
                         encoding="utf-8")
    print(f"importance of {len(means)} matrices", file=sys.stderr)
    print("| type | bytes | KL | llama.cpp's bytes | llama.cpp's KL | less by | logits apart (spreads) |")
    for name in sys.argv[5:] or ("q4_0", "q4_k", "q2_k"):
        ours, theirs = folder / f"ours-{name}.gguf", folder / f"theirs-{name}.gguf"
        subprocess.run([gemlet, "quantize", model, ours, "--scheme", "gguf:" + name, "--calibration", text_only], check=True,
                       capture_output=True)
        quantize_theirs(model, theirs, FILE_TYPES[name], means)
        a, b = divergence(gemlet, model, ours, text), divergence(gemlet, model, theirs, text)
        sizes = (path.stat().st_size for path in (ours, theirs))
        print("| {} | {} | {:.5f} | {} | {:.5f} | {:.0%} | {:.3f} |".format(
            name, next(sizes), a, next(sizes), b, 1 - a / b, logits_agree(gemlet, ours, folder)), flush=True)


main()
