"""Makes t5xxl, gemma2_2b, flux_ae and sd3_vae .json.gz: keys and shapes of real files, and where the model's tensors are.

Run with diffusers 0.32.1 and transformers 4.54.1. The layouts come as an argument:  make_part_layouts.py LAYOUTS_FOLDER
"""
import gzip
import json
import sys
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from diffusers.loaders import single_file_utils as convert
from transformers import Gemma2Config, Gemma2Model, T5Config, T5EncoderModel

HERE = Path(__file__).parent
LAYOUTS = Path(sys.argv[1])


def shapes_of(name):
    return {key: shape for key, (_, shape) in json.loads((LAYOUTS / f"{name}.json").read_text())["tensors"].items()}


def write(name, part, shapes, model, key_of):
    """Model names with the key, the part of a fused tensor (none here) and the shape."""
    rows = {n: [key_of(n), 0, list(p.shape)] for n, p in model.state_dict().items() if key_of(n)}
    assert all(row[0] in shapes for row in rows.values())
    with gzip.GzipFile(HERE / f"{name}.json.gz", "wb", mtime=0) as f:
        f.write(json.dumps({"checkpoint": shapes, part: rows}, separators=(",", ":")).encode())


def vae(name):
    shapes = shapes_of(name)
    names = list(shapes)
    marked = {key: torch.full([1] * len(s), float(i)) for i, (key, s) in enumerate(shapes.items())}
    with torch.device("meta"):
        model = AutoencoderKL(block_out_channels=(128, 256, 512, 512), layers_per_block=2, latent_channels=16, use_quant_conv=False,
                              use_post_quant_conv=False, down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4)
    converted = convert.convert_ldm_vae_checkpoint(marked, model.config)
    write(name, "vae", shapes, model, lambda n: names[int(converted[n].flatten()[0])])


def main():
    vae("flux_ae")
    vae("sd3_vae")
    with torch.device("meta"):
        t5 = T5EncoderModel(T5Config(d_ff=10240, d_kv=64, d_model=4096, feed_forward_proj="gated-gelu", num_heads=64, num_layers=24, vocab_size=32128))
        gemma = Gemma2Model(Gemma2Config())
    write("t5xxl", "t5", shapes_of("t5xxl"), t5, lambda n: None if n == "encoder.embed_tokens.weight" else n)
    write("gemma2_2b", "gemma2", shapes_of("gemma2_2b"), gemma, lambda n: n)


main()
