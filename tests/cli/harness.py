"""Inputs for the program and what its answers must look like. Standard library only."""

import json
import os
import struct
import subprocess
import sys
import tempfile
import unittest
import zlib
from pathlib import Path

DIFFTUNE = os.environ.get("DIFFTUNE", "build/difftune")

SD1_SHAPES = {
    "model.diffusion_model.input_blocks.0.0.weight": [32, 4, 3, 3],
    "model.diffusion_model.input_blocks.1.0.in_layers.2.weight": [32, 32, 3, 3],
    "model.diffusion_model.out.2.weight": [4, 32, 3, 3],
    "first_stage_model.encoder.down.0.block.0.conv1.weight": [32, 32, 3, 3],
    "first_stage_model.encoder.conv_out.weight": [8, 32, 3, 3],
    "first_stage_model.quant_conv.weight": [8, 8, 1, 1],
    "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight": [16, 64],
    "cond_stage_model.transformer.text_model.embeddings.position_embedding.weight": [77, 64],
    "cond_stage_model.transformer.text_model.encoder.layers.0.mlp.fc1.weight": [256, 64],
}
SDXL_SHAPES = {
    "model.diffusion_model.input_blocks.0.0.weight": [32, 4, 3, 3],
    "model.diffusion_model.label_emb.0.0.weight": [64, 64],
    "conditioner.embedders.0.transformer.text_model.embeddings.token_embedding.weight": [16, 64],
}


def png(width=64, height=64):
    """The bytes of a picture with a gradient."""
    rows = b"".join(
        b"\0" + b"".join(bytes((x * 255 // width, y * 255 // height, 128)) for x in range(width)) for y in range(height))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def safetensors(shapes, shift=0):
    """The bytes of a checkpoint of zeros in fp16. `shift` makes its offsets lie by that many bytes."""
    header, end = {}, 0
    for name, shape in sorted(shapes.items()):
        num_bytes = 2
        for size in shape:
            num_bytes *= size
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [end + shift, end + num_bytes + shift]}
        end += num_bytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + bytes(end)


class CliTest(unittest.TestCase):
    """A folder with everything that a run needs up to the point where models load, where `plan()` stops. A test spoils
    one thing in it."""

    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="difftune_cli_")
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.model = self.write("model.safetensors", safetensors(SD1_SHAPES))
        self.images = self.folder / "images"
        for name in ("first", "second"):
            self.write(f"images/2_cat/{name}.png", png())
            self.write(f"images/2_cat/{name}.txt", b"a cat, sitting")
        self.out = self.folder / "out"
        self.out.mkdir()

    def write(self, name, content):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def run_difftune(self, *words):
        return subprocess.run([DIFFTUNE, *map(str, words)], capture_output=True, text=True, errors="replace",
                              cwd=self.folder, timeout=100, check=False)

    def options(self, **changes):
        """The words of a run on the folder; `changes` replaces options, None leaves one out."""
        options = {"pretrained_model_name_or_path": self.model, "train_data_dir": self.images, "output_dir": self.out,
                   "output_name": "lora", "resolution": "64", "max_train_steps": "2", "seed": "1",
                   "caption_extension": ".txt",
                   "network_module": "networks.lora", "console_log_level": "WARNING"} | changes
        return [word for name, value in options.items() if value is not None for word in (f"--{name}", str(value))]

    def plan(self, *words, **changes):
        return self.run_difftune("train_network", "--dry_run", *self.options(**changes), *words)

    def files(self):
        return sorted(path.relative_to(self.folder) for path in self.folder.rglob("*") if path.is_file())

    def assert_refused(self, call, *parts, code=1):
        """`call()` ends with `code` and one message on stderr that has all `parts`, and writes no file. A message is one
        line, or a list of problems in the data, indented below it."""
        before = self.files()
        result = call()
        self.assertEqual(result.returncode, code, result.stderr)
        self.assertEqual(result.stderr.count("error: "), 1, result.stderr)
        first, *problems = result.stderr[result.stderr.index("error: "):].splitlines()
        self.assertEqual([line for line in problems if not line.startswith("  ")], [], result.stderr)
        for part in parts:
            self.assertIn(str(part).lower(), "\n".join((first, *problems)).lower())
        self.assertNotIn("bug in difftune", result.stderr)
        self.assertEqual(self.files(), before)


def main():
    unittest.main(argv=sys.argv[:1], verbosity=1)
