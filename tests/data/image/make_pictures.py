#!/usr/bin/env python3
"""Makes the pictures of this folder and what the reference reads and cuts from them.

    make_pictures.py REFERENCE_VISION.PY FIXTURE_INPUTS      (numpy, Pillow 13, libjpeg-turbo's cjpeg)

NAME.jpg|png|webp|gif|bmp  small pictures of every kind, with NAME.ppm, the pixels Pillow reads from them after the reference's
                   steps: upright, laid over white
grids.txt          name, budget, patch side, rows, columns, soft tokens, CRC-32 of the patches as bytes. Names WIDTHxHEIGHT are
                   pictures whose byte i is bits 13 to 20 of i * 2654435761; the others are files
clip.mp4, .webm    not made here: 250 frames of 64x48 at 25 a second, left half of grey 30 + 20 * (i // 25), right half
                   30 + 8 * (i % 25), by ffmpeg 5.1: -c:v libx264 -pix_fmt yuv420p -g 40 -bf 3 -qp 18, -c:v libvpx -b:v 200k -g 60
Where Pillow contradicts the PNG standard the pixels are by the standard: grey of 16 bits keeps its high byte (Pillow makes all
but the darkest white), transparent grey levels of 2 and 4 bits are transparent (Pillow compares them after scaling).
"""
import importlib.util
import pathlib
import shutil
import struct
import subprocess
import sys
import zlib

import numpy as np
from PIL import Image, ImageOps

HERE = pathlib.Path(__file__).parent
RANDOM = np.random.default_rng(1)


def noise(height, width, channels=3):
    y, x = np.mgrid[0:height, 0:width]
    waves = 127 + 90 * np.sin(y / 5.3) * np.cos(x / 7.1)
    return (waves[..., None] + RANDOM.normal(0, 30, (height, width, channels))).clip(0, 255).astype(np.uint8)


def over_white(reference, image):
    image = ImageOps.exif_transpose(image)
    has_alpha = "A" in image.getbands() or image.info.get("transparency") is not None
    pixels = np.asarray(image.convert("RGBA" if has_alpha else "RGB"))
    return reference.over_white(pixels) if has_alpha else pixels


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, depth, colour, rows, extra=b"", interlaced=0):
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows))
            + chunk(b"IEND", b""))


def bmp(width, height, depth, masks, rows, palette=b""):
    masks = masks or ()
    words = struct.pack(f"<{len(masks)}I", *masks)
    size = 40 if len(masks) < 4 else 108
    info = struct.pack("<IiiHHIIiiII", size, width, height, 1, depth, 3 if masks else 0, len(rows), 0, 0, 0, 0)
    start = info + words + (bytes(108 - 56) if size == 108 else b"") + palette
    return struct.pack("<2sIHHI", b"BM", 14 + len(start) + len(rows), 0, 0, 14 + len(start)) + start + rows


def plain_rows(samples):
    return b"".join(b"\0" + row.tobytes() for row in samples)


def adam7_rows(samples):
    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
    parts = [samples[y::step_y, x::step_x] for y, x, step_y, step_x in passes]
    return b"".join(plain_rows(part) for part in parts if part.size)


def save_pictures():
    base = Image.fromarray(noise(33, 45))
    rgba = Image.fromarray(noise(25, 31, 4), "RGBA")

    def save(name, image=base, **options):
        image.save(HERE / name, **options)

    for kind, options in (("444", "-sample 1x1"), ("422", "-sample 2x1"), ("420", "-sample 2x2"), ("440", "-sample 1x2"),
                          ("411", "-sample 4x1"), ("progressive", "-progressive"), ("arithmetic", "-arithmetic"),
                          ("rgb", "-rgb"), ("restarts", "-restart 1"), ("coarse", "-quality 10")):
        ppm = HERE / "base.tmp"
        base.save(ppm, "ppm")
        subprocess.run(["cjpeg", "-quality", "85", *options.split(), "-outfile", HERE / f"{kind}.jpg", ppm], check=True)
        ppm.unlink()
    save("grey.jpg", base.convert("L"))
    save("cmyk.jpg", Image.fromarray(noise(25, 31, 4), "CMYK"), quality=90)
    save("one.jpg", Image.fromarray(noise(1, 1)))
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x112] = orientation
        save(f"turned{orientation}.jpg", base.resize((23, 14)), exif=exif)
    save("turned6.png", base.resize((23, 14)), exif=exif_of(6))
    save("turned5.webp", base.resize((23, 14)), exif=exif_of(5), lossless=True)

    save("rgb.png")
    save("rgba.png", rgba)
    save("grey.png", base.convert("L"))
    save("grey_alpha.png", Image.fromarray(noise(25, 31, 2), "LA"))
    save("bits.png", base.convert("1"))
    save("palette8.png", base.quantize(100))
    save("palette2.png", base.quantize(4), bits=2)
    save("palette_alpha.png", base.quantize(40), transparency=bytes(range(0, 240, 10)))
    save("colour_key.png", transparency=tuple(int(v) for v in np.asarray(base)[5, 6]))
    save("one.png", Image.fromarray(noise(1, 1)))
    for colour, channels, name in ((2, 3, "rgb16"), (4, 2, "grey_alpha16"), (6, 4, "rgba16"), (0, 1, "grey16")):
        samples = RANDOM.integers(0, 65536, (11, 19 * channels)).astype(">u2")
        (HERE / f"{name}.png").write_bytes(png(19, 11, 16, colour, plain_rows(samples)))
        if name == "grey16":
            high = (samples >> 8).astype(np.uint8)
            write_ppm("grey16.png", np.repeat(high[..., None], 3, -1))
    for depth in (2, 4):
        samples = RANDOM.integers(0, 256, (9, (29 * depth + 7) // 8)).astype(np.uint8)
        (HERE / f"grey{depth}.png").write_bytes(png(29, 9, depth, 0, plain_rows(samples)))
        key = chunk(b"tRNS", b"\0\1")
        (HERE / f"grey{depth}_key.png").write_bytes(png(29, 9, depth, 0, plain_rows(samples), key))
        levels = (np.unpackbits(samples, axis=1).reshape(9, -1, depth) @ (1 << np.arange(depth)[::-1]))[:, :29]
        pixels = np.where(levels == 1, 255, levels * (255 // ((1 << depth) - 1))).astype(np.uint8)
        write_ppm(f"grey{depth}_key.png", np.repeat(pixels[..., None], 3, -1))
    rows = adam7_rows(noise(23, 31))
    (HERE / "interlaced.png").write_bytes(png(31, 23, 8, 2, rows, interlaced=1))
    (HERE / "interlaced_alpha.png").write_bytes(png(5, 3, 8, 6, adam7_rows(noise(3, 5, 4)), interlaced=1))
    gamma = chunk(b"gAMA", struct.pack(">I", 100000))
    (HERE / "gamma.png").write_bytes(png(31, 23, 8, 2, plain_rows(noise(23, 31).reshape(23, -1)), gamma))

    palette = base.quantize(60)
    save("plain.gif", palette)
    save("lines.gif", base.quantize(2).resize((9, 11)), interlace=1)
    save("clear.gif", palette, transparency=3)
    save("moving.gif", palette, save_all=True, append_images=[palette.rotate(180)], duration=40)
    save("noise.gif", Image.fromarray(RANDOM.integers(0, 256, (70, 150)).astype(np.uint8)), interlace=0)  # fills the table of codes
    # A picture that is smaller than its screen, with colours of its own behind the screen's.
    part = (HERE / "plain.gif").read_bytes()
    (HERE / "part.gif").write_bytes(part[:6] + struct.pack("<HH", 50, 40) + part[10:].replace(
        b"\x2c\0\0\0\0" + struct.pack("<HH", 45, 33), b"\x2c\3\0\5\0" + struct.pack("<HH", 45, 33), 1))

    save("rgb.bmp")
    save("palette8.bmp", palette)
    save("bits.bmp", base.convert("1"))
    save("rgba.bmp", rgba)
    for name, masks in (("rgb555", None), ("rgb565", (0xF800, 0x7E0, 0x1F))):
        rows = RANDOM.integers(0, 256, (7, 12)).astype(np.uint8).tobytes()
        (HERE / f"{name}.bmp").write_bytes(bmp(6, -7, 16, masks, rows))
    (HERE / "alpha.bmp").write_bytes(bmp(5, 4, 32, (0xFF0000, 0xFF00, 0xFF, 0xFF000000),
                                         RANDOM.integers(0, 256, (4, 20)).astype(np.uint8).tobytes()))
    (HERE / "levels4.bmp").write_bytes(bmp(7, 3, 4, None, RANDOM.integers(0, 256, (3, 4)).astype(np.uint8).tobytes(),
                                           RANDOM.integers(0, 256, 64).astype(np.uint8).tobytes()))

    save("lossy.webp", quality=60)
    save("lossless.webp", lossless=True)
    save("lossy_alpha.webp", rgba, quality=70)
    save("lossless_alpha.webp", rgba, lossless=True, exact=True)
    save("animated.webp", rgba, save_all=True, append_images=[rgba.rotate(90, expand=True).resize(rgba.size)])


def exif_of(orientation):
    exif = Image.Exif()
    exif[0x112] = orientation
    return exif


def write_ppm(name, pixels):
    height, width, _ = pixels.shape
    (HERE / f"{name}.ppm").write_bytes(b"P6 %d %d 255\n" % (width, height) + pixels.tobytes())


SIZES = ("1x1 1x2 2x1 3x3 7x5 1x997 997x1 16x16 47x48 48x48 49x48 97x89 211x223 389x641 600x200 294x105 105x294 1000x100 "
         "13x541 10000x100 9973x2 1x30000 960x672 1920x1080 768x1024").split()
LARGE = "7x5 97x89 600x200 10000x100 1x30000 a.png".split()  # also at the budgets that take long


def grids(reference, inputs):
    fixed = np.load(inputs / "image_patches.npz")
    for name in SIZES + ["a.png", "b.png", "c.png"]:
        if name.endswith("png"):
            pixels = reference.read_image(str(inputs / name))
        else:
            width, height = map(int, name.split("x"))
            i = np.arange(width * height * 3, dtype=np.uint64)
            pixels = ((i * 2654435761 >> 13) & 255).astype(np.uint8).reshape(height, width, 3)
        for budget in reference.BUDGETS if name in LARGE else (70, 140, 280):
            for side in (16, 48) if budget == 140 else (16,):
                patches, positions, n_tokens = reference.preprocess(pixels, budget, unified=side == 48)
                key = f"{name[0]}_{budget}_patches_u8"
                if name.endswith("png") and side == 16 and key in fixed:
                    assert np.array_equal(patches, fixed[key] * np.float32(1 / 255))
                columns, rows = positions.max(0) + 1
                levels = np.rint(patches * 255).astype(np.uint8)
                assert np.array_equal(patches, levels * np.float32(1 / 255))
                crc = zlib.crc32(levels.tobytes())
                yield f"{name} {budget} {side} {rows} {columns} {n_tokens} {crc}\n"


def main(reference_path, inputs):
    spec = importlib.util.spec_from_file_location("reference_vision", reference_path)
    reference = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reference)
    save_pictures()
    for path in sorted(HERE.iterdir()):
        if path.suffix in (".jpg", ".png", ".webp", ".gif", ".bmp") and path.stem not in ("grey16", "grey2_key", "grey4_key", "a", "b", "c"):
            write_ppm(path.name, over_white(reference, Image.open(path)))
    for name in "abc":
        shutil.copyfile(inputs / f"{name}.png", HERE / f"{name}.png")
    (HERE / "grids.txt").write_text("".join(grids(reference, inputs)))


if __name__ == "__main__":
    main(sys.argv[1], pathlib.Path(sys.argv[2]))
