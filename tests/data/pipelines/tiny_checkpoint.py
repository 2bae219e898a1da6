"""Writes the tiny checkpoints that the inference tests run: files of random weights in float16, which
layouts/NAME.json describe, so that only the shapes are kept here. Standard library only: the command line tests use it,
make_pipelines.py gives the same weights to diffusers, and tests/golden/tiny_checkpoint.h does the same in C++.

A layout is {"seed": n, "tensors": {key: [shape, exponent, base]}}. Keys are filled in sorted order from one
random.Random(seed): a tensor takes one byte b for each element, from 32-bit words in little-endian order, the last of
which may be used in part. The value is base + (b - 128) / 128 * 2^exponent, which float16 holds exactly.
"""

import json
import random
import struct
from pathlib import Path

LAYOUTS = Path(__file__).resolve().parent / "layouts"


def load_layout(name):
    return json.loads((LAYOUTS / f"{name}.json").read_text())


def tensors(layout):
    """Pairs of (key, shape, bytes in float16)."""
    generator = random.Random(layout["seed"])
    for key, (shape, exponent, base) in sorted(layout["tensors"].items()):
        count = 1
        for size in shape:
            count *= size
        num_words = (count + 3) // 4
        drawn = generator.getrandbits(32 * num_words).to_bytes(4 * num_words, "little")[:count]
        table = [struct.pack("<e", base + (b - 128) / 128 * 2.0**exponent) for b in range(256)]
        yield key, shape, b"".join([table[b] for b in drawn])


def write(name, path, prefix=""):
    """The checkpoint of a layout, or of several that are joined, as a file. `prefix` stands before all keys."""
    header, contents, end = {}, [], 0
    for part in [name] if isinstance(name, str) else name:
        for key, shape, content in tensors(load_layout(part)):
            header[prefix + key] = {"dtype": "F16", "shape": shape, "data_offsets": [end, end + len(content)]}
            contents.append(content)
            end += len(content)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(contents))
    return path
