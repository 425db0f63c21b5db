"""Our checkpoints in transformers: every tensor finds its place, and the logits are those that gemlet computes.

Usage: check_transformers.py GEMLET CHECKPOINT..
Needs `pip install -r requirements-transformers.txt`. A CHECKPOINT is a Hugging Face directory, in floats or in the mobile
layout. transformers loads it in float32 with its own classes (and its GemmaQuantizer); missing, unexpected or mismatched
tensors end with status 1. Then 40 prompts of 6 tokens go through both programs.

Floats: largest difference of a logit, at most 2e-3. Mobile: int8 codes of activations are the same until a value lies at a
rounding tie; there one code flips and what follows moves by whole steps. How often is seen from transformers against itself
in float64: gemlet may differ in no more of the prompts than 1.5 times as many, and two more (chance), and by no larger a
mean divergence (KL) than twice as much. The last column, transformers in bfloat16 (what people load), has no bound.
"""

import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch
import transformers
from safetensors import safe_open

N_PROMPTS, N_IDS = 40, 6
SAME = 2e-3  # logits; noise of float32 is some 1e-5 to 1e-4, a flipped code moves them by 1e-2 and more


def scale_shapes(folder):
    """Shapes of the embeddings' scales, by module."""
    end = ".embedding_scale"
    with safe_open(pathlib.Path(folder) / "model.safetensors", "pt") as file:
        return {name[:-len(end)]: file.get_slice(name).get_shape() for name in file.keys() if name.endswith(end)}


def widen_scales(shapes):
    """transformers 5.23 expects one scale a row of every table, though it computes with several: the published layout, one
    scale a layer in the per-layer table, does not load without this."""
    from transformers.integrations import gemma_quant
    plain = gemma_quant.replace_with_quant_layers

    def wider(model, *args, **kwargs):
        plain(model, *args, **kwargs)
        for name, shape in shapes.items():
            module = model.get_submodule(name)
            module.embedding_scale = torch.nn.Parameter(torch.ones(shape, device=module.embedding_scale.device),
                                                        requires_grad=False)
        return model

    gemma_quant.replace_with_quant_layers = wider


def load(folder, dtype):
    model, info = transformers.Gemma4ForConditionalGeneration.from_pretrained(
        folder, dtype=dtype, attn_implementation="eager", output_loading_info=True)
    faults = {key: sorted(map(str, value)) for key, value in info.items() if value}
    if dtype == torch.float64:  # scales and norms that the quantiser keeps in float32
        model = model.to(torch.float64)
        for module in model.modules():
            if hasattr(module, "output_dtype"):
                module.output_dtype = torch.float64
    return model.eval(), faults


def logits_of(model, prompts):
    with torch.no_grad():
        return np.stack([model(input_ids=torch.tensor([ids])).logits[0].double().numpy() for ids in prompts])


def gemlet_logits(gemlet, checkpoint, prompts, options):
    out = []
    with tempfile.TemporaryDirectory() as folder:
        for ids in prompts:
            path = folder + "/logits.npy"
            subprocess.run([gemlet, "logits", checkpoint, "--ids", ",".join(map(str, ids)), "--out", path, "--all",
                            "--kv", "f32", "--threads", "1"] + options, check=True, capture_output=True)
            out.append(np.load(path))
    return np.stack(out)


def divergence(a, b):
    a, b = (x - x.max(-1, keepdims=True) for x in (a, b))
    a, b = (x - np.log(np.exp(x).sum(-1, keepdims=True)) for x in (a, b))
    return float((np.exp(a) * (a - b)).sum(-1).mean())


def n_apart(a, b):
    return int((np.abs(a - b).max((1, 2)) > SAME).sum())


def check(gemlet, folder):
    """Prints a table row; returns whether all is well."""
    rng = np.random.default_rng(1)
    prompts = [[2] + [int(i) for i in rng.integers(300, 1900, N_IDS - 1)] for _ in range(N_PROMPTS)]
    shapes = scale_shapes(folder)
    if shapes:
        widen_scales(shapes)
    model, faults = load(folder, torch.float32)
    if faults:
        print(f"{folder}: {faults}")
        return False
    n_quantised = sum(type(module).__name__ == "QuantizedLinear" for module in model.modules())
    single = logits_of(model, prompts)
    half = logits_of(load(folder, torch.bfloat16)[0], prompts)
    # Integers as they are; floats without int8 activations.
    ours = gemlet_logits(gemlet, folder, prompts, [] if n_quantised else ["--precision", "f32"])
    noise = np.abs(ours - single).max((1, 2))
    alike = noise <= SAME
    if n_quantised == 0:
        well, itself = alike.all(), "-"
    else:
        double = logits_of(load(folder, torch.float64)[0], prompts)
        ties, most = n_apart(single, double), divergence(double, single)
        well = n_apart(ours, single) <= 1.5 * ties + 2 and divergence(single, ours) <= 2 * most + 1e-6
        itself = f"{ties} prompts, KL {most:.1e}"
    print(f"| {pathlib.Path(folder).name} | {n_quantised} | {noise[alike].max():.1e} | {n_apart(ours, single)} prompts, "
          f"KL {divergence(single, ours):.1e} | {itself} | KL {divergence(single, half):.1e} |", flush=True)
    return bool(well)


def main():
    torch.set_num_threads(1)
    print(f"transformers {transformers.__version__}, torch {torch.__version__}; {N_PROMPTS} prompts of {N_IDS} tokens")
    print("| checkpoint | quantised linears | largest difference where no code flips | gemlet apart from float32 | "
          "float64 apart from float32 | bfloat16 |")
    print("| --- | --- | --- | --- | --- | --- |")
    results = [check(sys.argv[1], folder) for folder in sys.argv[2:]]
    sys.exit(not all(results))


main()
