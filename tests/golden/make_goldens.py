#!/usr/bin/env python3
"""Cuts the reference results that the tests need out of the large reference data.

usage: make_goldens.py SHARED OUT [all]     (SHARED holds data/fixtures and data/fixtures-qat)

Writes OUT/<model>/goldens.safetensors for every model, and copies of a few small models beside
them, so that the tests have something to run on without the large data:
  e2b-tiny/q4_0.gguf, moe-26b-tiny/q4_0.gguf, e2b-quant-tiny/q4_k_m.gguf: copied as they are
  qat/checkpoint: text decoder, vision and audio encoder of the QAT mobile checkpoint
Pictures: OUT/pictures.safetensors holds the patches of one, OUT/<model>/pictures.safetensors
what each model makes of them; IMAGES lists what is kept ("all" as a third argument: everything).
Sounds: the same with sounds.safetensors and SOUNDS; log-mel frames, and samples of the first.
Logits of long prompts are thinned: to every eighth row and the last 16; quantised models to the
last 8, QAT mobile to the last 16.
"""
import json
import shutil
import struct
import sys
import wave
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

VERSION = "1"
COPIES = ["e2b-tiny/q4_0.gguf", "moe-26b-tiny/q4_0.gguf", "e2b-quant-tiny/q4_k_m.gguf"]
MODELS = ["e2b-tiny", "e4b-tiny", "dense-31b-tiny", "moe-26b-tiny", "unified-12b-tiny",
          "e2b-quant-tiny"]
IMAGES = ["a_70"]
SOUNDS = ["half", "three"]
QUANT_LONG_ROWS = 8
QAT_LONG_ROWS = 16
QAT_PICTURE = ("pixel_values", "image_soft_tokens")
QAT_SOUND = ("input_features", "audio_soft_tokens")
NANO_SOUND = ("mel", "tower", "soft", "ids", "logits_last")
KEPT = ("lm_head", "model.language_model", "model.vision_tower", "model.embed_vision",
        "model.audio_tower", "model.embed_audio")


def write(path, arrays, source):
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {k: np.ascontiguousarray(v) for k, v in arrays.items()}
    save_file(arrays, path, {"generator": "make_goldens.py " + VERSION, "source": source})


def long_rows(n):
    return np.array([i for i in range(n) if i % 8 == 0 or i >= n - 16], np.int32)


def model_goldens(folder):
    text = np.load(folder / "text.npz")
    out = {k: text[k].astype(np.int32) for k in ("short_ids", "long_ids", "greedy_prompt")}
    n = len(out["long_ids"])
    if (folder / "model-bf16.gguf").exists():
        rows = long_rows(n)
        out["bf16.short_logits"] = text["short_logits"]
        out["bf16.long_rows"] = rows
        out["bf16.long_logits"] = text["long_logits"][rows]
        out["bf16.greedy_ids"] = text["greedy_ids"].astype(np.int32)
        out["bf16.greedy_margin"] = text["greedy_margin"]
    if (folder / "quant.npz").exists():
        quant = np.load(folder / "quant.npz")
        for key in quant.files:
            if not key.endswith("_short_logits"):
                continue
            name = key[: -len("_short_logits")]
            for what in ("short_logits", "greedy_ids", "greedy_margin"):
                out[f"{name}.{what}"] = quant[f"{name}_{what}"]
            # quant.npz holds the last 16 rows.
            out[f"{name}.long_logits"] = quant[f"{name}_long_logits"][-QUANT_LONG_ROWS:]
            out[f"{name}.long_rows"] = np.arange(n - QUANT_LONG_ROWS, n, dtype=np.int32)
    return out


def picture_goldens(fixtures, out, images):
    patches = np.load(fixtures / "inputs" / "image_patches.npz")
    write(out / "pictures.safetensors",
          {f"{i}.{what}": patches[f"{i}_{what}"].astype(kind) for i in images
           for what, kind in (("patches_u8", np.uint8), ("positions", np.int32))}, "inputs")
    for model in MODELS:
        if not (fixtures / model / "image.npz").exists():
            continue
        image = np.load(fixtures / model / "image.npz")
        names = ("encoder", "projected", "prompt", "logits")
        write(out / model / "pictures.safetensors",
              {f"{i}.{name}": image[f"{i}_{name}"] for i in images for name in names},
              "fixtures/" + model)


def samples_of(path):
    with wave.open(str(path)) as sound:
        return np.frombuffer(sound.readframes(sound.getnframes()), "<i2").astype(np.float32) / 32768


def sound_goldens(fixtures, out, sounds):
    mel = np.load(fixtures / "inputs" / "audio_mel.npz")
    inputs = {f"{i}.mel": mel[f"{i}_mel"][mel[f"{i}_mask"]] for i in sounds}
    for i in sounds:
        if i == sounds[0] or sounds != SOUNDS:
            inputs[f"{i}.samples"] = samples_of(fixtures / "inputs" / f"{i}.wav")
    write(out / "sounds.safetensors", inputs, "inputs")
    for model in MODELS:
        if not (fixtures / model / "audio.npz").exists():
            continue
        audio = np.load(fixtures / model / "audio.npz")
        names = ("encoder", "projected", "prompt", "logits")
        write(out / model / "sounds.safetensors",
              {f"{i}.{name}": audio[f"{i}_{name}"] for i in sounds for name in names
               if f"{i}_{name}" in audio.files}, "fixtures/" + model)


def read_raw(path):
    """Header and data of a safetensors file: BF16 is nothing numpy knows."""
    blob = path.read_bytes()
    (size,) = struct.unpack("<Q", blob[:8])
    return json.loads(blob[8 : 8 + size]), blob[8 + size :]


def cut_checkpoint(source, target):
    header, data = read_raw(source / "model.safetensors")
    kept, chunks, at = {}, [], 0
    for name, entry in header.items():
        if name == "__metadata__" or not name.startswith(KEPT):
            continue
        begin, end = entry["data_offsets"]
        kept[name] = {**entry, "data_offsets": [at, at + end - begin]}
        chunks.append(data[begin:end])
        at += end - begin
    text = json.dumps(kept, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    target.mkdir(parents=True, exist_ok=True)
    (target / "model.safetensors").write_bytes(
        struct.pack("<Q", len(text)) + text + b"".join(chunks))
    shutil.copyfile(source / "config.json", target / "config.json")


def float_arrays(path, wanted):
    header, data = read_raw(path)
    kinds = {"F32": np.float32, "I8": np.int8}
    out = {}
    for name, entry in header.items():
        if name == "__metadata__" or not wanted(name):
            continue
        begin, end = entry["data_offsets"]
        out[name] = np.frombuffer(data[begin:end], kinds[entry["dtype"]]).reshape(entry["shape"])
    return out


def main():
    shared, out = Path(sys.argv[1]), Path(sys.argv[2])
    fixtures = shared / "data" / "fixtures"
    for model in MODELS:
        write(out / model / "goldens.safetensors", model_goldens(fixtures / model),
              "fixtures/" + model)
    picture_goldens(fixtures, out, IMAGES if sys.argv[3:] != ["all"] else
                    [f"{i}_{budget}" for i in "abc" for budget in (70, 140)])
    sound_goldens(fixtures, out, SOUNDS if sys.argv[3:] != ["all"] else SOUNDS + ["twelve"])
    for name in COPIES:
        shutil.copyfile(fixtures / name, out / name)
    nano = np.load(shared / "data" / "nano" / "eval" / "numeric_reference.npz")
    write(out / "nano" / "goldens.safetensors",
          {"text_ids": nano["text_ids"], "last_logits": nano["text_logits_last"],
           "top5_ids": nano["text_top5_ids"], "top5_logits": nano["text_top5_logits"]}, "nano")
    write(out / "nano" / "sounds.safetensors",
          {f"audio0.{name}": nano[f"audio0_{name}"] for name in NANO_SOUND}, "nano")
    qat = shared / "data" / "fixtures-qat"
    cut_checkpoint(qat / "checkpoint", out / "qat" / "checkpoint")
    shutil.copyfile(qat / "goldens.json", out / "qat" / "goldens.json")
    write(out / "qat" / "goldens.safetensors",
          {name: rows[-QAT_LONG_ROWS:] if len(rows) > 2 * QAT_LONG_ROWS else rows
           for name, rows in float_arrays(qat / "text_goldens.safetensors",
                                          lambda name: ".logits" in name).items()}, "qat")
    write(out / "qat" / "pictures.safetensors",
          float_arrays(qat / "multimodal_goldens.safetensors",
                       lambda name: name in QAT_PICTURE), "qat")
    write(out / "qat" / "sounds.safetensors",
          float_arrays(qat / "multimodal_goldens.safetensors",
                       lambda name: name in QAT_SOUND), "qat")
    write(out / "qat" / "trace.safetensors",
          float_arrays(qat / "trace_4.safetensors",
                       lambda name: name.endswith((".x", ".y_codes")) or name == "lm_head.y"),
          "qat")


if __name__ == "__main__":
    main()
