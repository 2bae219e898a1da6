"""The inputs of the golden training runs, the same bytes on every machine: checkpoints with the key layout of Stable
Diffusion 1.x and 2.x, reduced widths and random weights, and folders of captioned pictures. Standard library only."""

import gzip
import json
import math
import random
import struct
import zlib
from pathlib import Path

LAYOUTS = Path(__file__).resolve().parent.parent / "data" / "weights"
# Widths of the U-Net are divided by 10, those of the autoencoder by 4.
TEXT_WIDTHS = {"sd15": {768: 64, 3072: 256}, "sd21": {1024: 128, 4096: 512, 3072: 384}}
TEXT_LAYERS = {"sd15": 2, "sd21": 3}
PERIOD = 65521  # a prime: no row of a matrix begins where another does


def reduced(family):
    """{key: shape} of the reduced checkpoint."""
    widths, result = TEXT_WIDTHS[family], {}
    context = min(widths.values())
    layout = json.loads(gzip.decompress((LAYOUTS / f"{family}_ldm.json.gz").read_bytes()))
    for key, shape in layout["checkpoint"].items():
        if key.startswith("model.diffusion_model"):
            keeps_context = "attn2.to_k" in key or "attn2.to_v" in key
            shape = [shape[0] // 10, context] if keeps_context else [s if s in (1, 3, 4) else s // 10 for s in shape]
        elif key.startswith("first_stage_model"):
            shape = [s if s in (1, 3, 4, 8) else s // 4 for s in shape]
        else:
            for name in ("encoder.layers.", "resblocks."):
                if name in key and int(key.split(name)[1].split(".")[0]) >= TEXT_LAYERS[family]:
                    break
            else:
                result[key] = [widths.get(s, s) for s in shape]
            continue
        result[key] = shape
    return result


def scale_and_mean(key, shape):
    """Of the values of a tensor, such that activations stay sane at depth."""
    if "embedding" in key or (len(shape) == 1 and not key.endswith("weight")):
        return 0.02, 0.0
    if len(shape) == 1:
        return 0.05, 1.0
    return 1 / math.sqrt(math.prod(shape[1:])), 0.0


def write_checkpoint(path, family):
    """Uniform numbers in fp16; each tensor reads one fixed sequence from a place of its own."""
    rng = random.Random(family)
    uniform = [(rng.random() - 0.5) * math.sqrt(12) for _ in range(PERIOD)]
    packed = {}

    def tile(key, shape):
        scale, mean = scale_and_mean(key, shape)
        if (scale, mean) not in packed:
            packed[scale, mean] = struct.pack(f"<{PERIOD}e", *(mean + scale * u for u in uniform))
        start, num_bytes = 2 * (zlib.crc32(key.encode()) % PERIOD), 2 * math.prod(shape)
        block = packed[scale, mean]
        return (block[start:] + block * (num_bytes // len(block) + 1))[:num_bytes]

    shapes, header, end = reduced(family), {}, 0
    for key in sorted(shapes):
        num_bytes = 2 * math.prod(shapes[key])
        header[key] = {"dtype": "F16", "shape": shapes[key], "data_offsets": [end, end + num_bytes]}
        end += num_bytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for key in sorted(shapes):
            file.write(tile(key, shapes[key]))


def png(width, height, seed):
    """A picture with a gradient and rectangles, as PNG."""
    rng = random.Random(seed)
    slopes = [rng.uniform(-1, 1) for _ in range(6)]
    boxes = [(rng.randrange(width), rng.randrange(height), rng.randrange(10, 60), [rng.randrange(256) for _ in range(3)])
             for _ in range(6)]
    rows = bytearray()
    for y in range(height):
        row = bytearray()
        for x in range(width):
            row += bytes(int(128 + 60 * (slopes[c] * x / width + slopes[c + 3] * y / height)) for c in range(3))
        for left, top, size, colour in boxes:
            if top <= y < top + size:
                right = min(width, left + size)
                row[3 * left:3 * right] = bytes(colour) * (right - left)
        rows += b"\0" + row

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(bytes(rows))) + chunk(b"IEND", b""))


TAGS = ["flower", "red petals", "garden", "morning light", "close up", "dew, drops", "green leaf"]
FOLDERS = {
    # folder: (captions by number, extension)
    "flowers/2_flower": ([", ".join(TAGS[i:] + TAGS[:i]) for i in range(4)], ".txt"),
    "cats": (["a cat, sitting, indoors", "a cat, asleep", "two cats, playing, outdoors"], ".txt"),
    "dogs": (["a dog, running", "a dog, outdoors, tree", "dog"], ".caption"),
    "long": ([" ".join(f"{tag} number {n} of many," for n in range(6) for tag in TAGS) + f" the {i}th" for i in range(3)],
             ".txt"),
    "weighted": (["a (red:1.3) flower, [dull] garden", "((light)), flower (blue:0.6), \\(paren\\)",
                  "plain words, (nested (more:1.2) petals)"], ".txt"),
    "wildcards": (["a {red|blue|green} flower\nsecond line, {tall|small}", "one {a|b}, garden", "no wildcard"], ".txt"),
}
SIZES = [(160, 128), (128, 176), (128, 128), (200, 110)]


def write_pictures(folder):
    for name, (captions, extension) in FOLDERS.items():
        (folder / name).mkdir(parents=True)
        for i, caption in enumerate(captions):
            (folder / name / f"{i}.png").write_bytes(png(*SIZES[i % len(SIZES)], f"{name}/{i}"))
            (folder / name / f"{i}{extension}").write_text(caption)
