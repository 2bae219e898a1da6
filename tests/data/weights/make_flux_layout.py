#!/usr/bin/env python3
"""Writes flux_layout.json.gz: what Diffusers makes of the keys of a FLUX.1 checkpoint.

    make_flux_layout.py LAYOUT.json     the keys and shapes of a full FLUX.1-dev file: {"tensors": {key: [dtype, shape]}}

Every row of every tensor gets a number of its own and goes through the converter of Diffusers 0.32.1; the numbers in its
output say where they came from. One entry per Diffusers name: [key, [first rows of the runs], [lengths of the runs]].
Only blocks 0 and the last are kept."""

import gzip
import json
import re
import sys
from pathlib import Path

import torch
from diffusers.loaders.single_file_utils import convert_flux_transformer_checkpoint_to_diffusers

STRIDE = 100_000  # more than the rows of any tensor


def runs(rows):
    starts = [0] + [i for i in range(1, len(rows)) if rows[i] != rows[i - 1] + 1] + [len(rows)]
    return [rows[a] for a in starts[:-1]], [b - a for a, b in zip(starts, starts[1:])]


def main():
    layout = json.loads(Path(sys.argv[1]).read_text())["tensors"]
    shapes = {key: shape for key, (_, shape) in layout.items()}
    keys = sorted(shapes)
    tagged = {key: (torch.arange(shapes[key][0], dtype=torch.float64) + i * STRIDE).reshape(-1, *[1] * (len(shapes[key]) - 1))
              for i, key in enumerate(keys)}
    converted = convert_flux_transformer_checkpoint_to_diffusers(dict(tagged))
    entries = {}
    for name, tensor in sorted(converted.items()):
        numbers = tensor.flatten().long().tolist()
        key = keys[numbers[0] // STRIDE]
        assert all(keys[n // STRIDE] == key for n in numbers)
        entries[name] = [key, *runs([n % STRIDE for n in numbers])]
    last = {kind: max(int(n) for n in re.findall(rf"{kind}\.(\d+)\.", " ".join(keys)))
            for kind in ("double_blocks", "single_blocks")}

    def is_kept(key):
        block = re.match(r"(double_blocks|single_blocks)\.(\d+)\.", key)
        return not block or int(block[2]) in (0, last[block[1]])

    content = {"shapes": {key: shapes[key] for key in keys if is_kept(key)},
               "diffusers": {name: entry for name, entry in entries.items() if is_kept(entry[0])}}
    target = Path(__file__).parent / "flux_layout.json.gz"
    target.write_bytes(gzip.compress(json.dumps(content).encode(), mtime=0))


if __name__ == "__main__":
    main()
