#!/usr/bin/env python3
"""Makes the sounds of this folder: python3 make_sounds.py REFERENCE_DATA (needs numpy and ffmpeg).

sound.* and the others of that kind hold the same chirp in different formats: tests/audio/sound_data.h
knows its formula. half.wav, three.wav and speech.flac are copies from the reference data; their mel
frames, as the reference implementation computed them, are in mel.safetensors.
"""
import json
import os
import shutil
import struct
import subprocess
import sys

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
SECONDS = 0.25


def chirp(rate):
    t = np.arange(int(SECONDS * rate)) / rate
    return 0.6 * np.sin(np.pi * t / SECONDS) ** 2 * np.sin(2 * np.pi * (300 * t + 3000 * t * t))


def write_wav(path, rate, channels):
    """32-bit float; each channel half as loud as the one before."""
    frames = np.stack([chirp(rate) / 2**c for c in range(channels)], axis=1).astype("<f4").tobytes()
    head = struct.pack("<HHIIHH", 3, channels, rate, rate * channels * 4, channels * 4, 32)
    with open(path, "wb") as f:
        f.write(b"RIFF" + struct.pack("<I", 36 + len(frames)) + b"WAVEfmt " + struct.pack("<I", 16) + head)
        f.write(b"data" + struct.pack("<I", len(frames)) + frames)


def write_safetensors(path, arrays):
    header, offset = {}, 0
    for name, a in arrays.items():
        header[name] = {"dtype": "F32", "shape": list(a.shape), "data_offsets": [offset, offset + a.nbytes]}
        offset += a.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for a in arrays.values():
            f.write(np.ascontiguousarray(a, "<f4").tobytes())


def main():
    data = sys.argv[1]
    stereo, mono = os.path.join(HERE, "stereo.tmp.wav"), os.path.join(HERE, "mono.tmp.wav")
    write_wav(stereo, 44100, 2)
    write_wav(mono, 16000, 1)
    bits = ["-bitexact", "-map_metadata", "-1"]
    for source, name, options in [
        (stereo, "sound.flac", ["-sample_fmt", "s16"]),
        (stereo, "sound24.flac", ["-sample_fmt", "s32", "-bits_per_raw_sample", "24"]),
        (stereo, "vorbis.ogg", ["-c:a", "libvorbis", "-b:a", "96k"]),
        (stereo, "opus.ogg", ["-c:a", "libopus", "-b:a", "64k"]),
        (stereo, "sound.mp3", ["-c:a", "libmp3lame", "-b:a", "96k"]),
        (stereo, "variable.mp3", ["-c:a", "libmp3lame", "-q:a", "2", "-write_xing", "0", "-id3v2_version", "0"]),
        (stereo, "sound.m4a", ["-c:a", "aac", "-b:a", "192k", "-aac_coder", "fast"]),
        (stereo, "flac.ogg", ["-c:a", "flac", "-sample_fmt", "s16"]),
        (mono, "sound.aiff", ["-c:a", "pcm_s16be"]),
        (mono, "sound.caf", ["-c:a", "pcm_s16le"]),
        (mono, "sound.au", ["-c:a", "pcm_s16be"]),
        (mono, "alaw.wav", ["-c:a", "pcm_alaw"]),
        (mono, "adpcm.wav", ["-c:a", "adpcm_ima_wav"]),
        (mono, "rf64.wav", ["-c:a", "pcm_s16le", "-rf64", "always"]),
    ]:
        subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", source, *bits, *options, os.path.join(HERE, name)], check=True)
    with open(os.path.join(HERE, "piped.flac"), "wb") as f:
        subprocess.run(["ffmpeg", "-v", "error", "-i", stereo, *bits, "-f", "flac", "-sample_fmt", "s16", "pipe:1"], stdout=f, check=True)
    os.remove(stereo)
    os.remove(mono)

    inputs = os.path.join(data, "fixtures/inputs")
    mel = np.load(os.path.join(inputs, "audio_mel.npz"))
    arrays = {name: mel[name + "_mel"][mel[name + "_mask"]] for name in ("half", "three")}
    for name in arrays:
        shutil.copyfile(os.path.join(inputs, name + ".wav"), os.path.join(HERE, name + ".wav"))
    arrays["speech"] = np.load(os.path.join(data, "nano/eval/numeric_reference.npz"))["audio0_mel"]
    shutil.copyfile(os.path.join(data, "nano/eval/speech/000.flac"), os.path.join(HERE, "speech.flac"))
    write_safetensors(os.path.join(HERE, "mel.safetensors"), arrays)


if __name__ == "__main__":
    main()
