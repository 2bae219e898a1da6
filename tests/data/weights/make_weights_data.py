"""Makes the files that tests/unit/weights reads: safetensors, torch.save and NumPy files, and their expected contents.

Run with torch 2.11, safetensors 0.4.5, numpy, diffusers 0.32.1 and transformers 4.54.1. The layouts of the two
checkpoints come as arguments:  make_weights_data.py LAYOUTS_FOLDER
"""
import gzip
import hashlib
import json
import os
import pickle
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import safetensors.torch
import torch

HERE = Path(__file__).parent
DTYPES = {
    "f64": torch.float64, "f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16, "i64": torch.int64,
    "i32": torch.int32, "i16": torch.int16, "i8": torch.int8, "u8": torch.uint8, "bool": torch.bool,
    "f8e4": torch.float8_e4m3fn, "f8e5": torch.float8_e5m2,
}


def arange(dtype, *shape):
    count = int(np.prod(shape)) if shape else 1
    values = torch.arange(count) % 2 if dtype == torch.bool else torch.arange(count)
    return values.to(torch.float32).to(dtype).reshape(shape)


def make_safetensors():
    tensors = {f"z.{name}": arange(dtype, 2, 3) for name, dtype in DTYPES.items()}
    tensors |= {f"a.{name}": arange(dtype, 5) for name, dtype in DTYPES.items()}
    tensors |= {"scalar": torch.tensor(7.5), "empty": torch.zeros(0, 4)}
    safetensors.torch.save_file(tensors, HERE / "all_dtypes.safetensors")
    tensors = {'quo"te\\\n\u00e9': arange(torch.float32, 3)}
    safetensors.torch.save_file(tensors, HERE / "escapes.safetensors", {"k\t\x01": '{"a": "\u00fc\U0001f600/\x7f"}'})
    safetensors.torch.save_file({"a": torch.zeros(1)}, HERE / "empty_metadata.safetensors", {})


def make_hashes():
    """The formula of the sd-webui-additional-networks extension, for a LoRA of 1.6 MB that is not stored."""
    tensors = {}
    for i in range(4):
        tensors[f"lora_unet_{i}.lora_down.weight"] = (torch.arange(100_000) % 1000).to(torch.float32).reshape(100, 1000) * (i + 1)
        tensors[f"lora_unet_{i}.alpha"] = torch.tensor(1)
    out = {}
    for name, metadata in {"plain": {"ss_a": "b", "modelspec.title": "t"}, "none": {}}.items():
        data = safetensors.torch.save(tensors, {k: v for k, v in metadata.items() if k.startswith("ss_")})
        begin = 8 + int.from_bytes(data[:8], "little")
        out[name] = [hashlib.sha256(data[begin:]).hexdigest(), hashlib.sha256(data[0x100000:0x110000]).hexdigest()[:8]]
    blob = bytes(i * i % 251 for i in range(1_200_000))
    out["file"] = [hashlib.sha256(blob).hexdigest(), hashlib.sha256(blob[0x100000:0x110000]).hexdigest()[:8]]
    (HERE / "hashes.json").write_text(json.dumps(out, indent=1))


class Callback:  # stands for a class that the reader does not know
    def __init__(self):
        self.best = {"loss": 0.5}


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def make_checkpoints():
    base = arange(torch.float32, 4, 6)
    state = OrderedDict()
    for name, dtype in DTYPES.items():
        state[name] = arange(dtype, 2, 3)
    state["parameter"] = torch.nn.Parameter(arange(torch.float16, 3))
    state["transposed"] = base.t()
    state["row"] = base[2]
    state["columns"] = base[:, 1:3]
    state["scalar"] = torch.tensor(3, dtype=torch.int64)
    state["empty"] = torch.zeros(0, 3)
    whole = {"epoch": 3, "state_dict": state, "callbacks": {Callback: Callback()}, "lr": np.float64(0.1), "shape": torch.Size([2, 3]),
             "big": 1 << 100, "negative": -5, "set": {1, 2}, "bytes": b"ab", "optimizer_states": [{"exp_avg": arange(torch.float32, 2)}]}
    torch.save(whole, HERE / "zip.ckpt")
    legacy = {k: v for k, v in state.items() if not k.startswith("f8")}
    torch.save({"module": legacy}, HERE / "legacy.ckpt", _use_new_zipfile_serialization=False)
    torch.save(dict(legacy), HERE / "protocol4.pt", pickle_protocol=4)
    torch.save({"weight": arange(torch.float32, 2), "evil": Payload("/tmp/difftune_pickle_was_run")}, HERE / "evil.ckpt")
    torch.save(torch.nn.Linear(2, 3), HERE / "module.pt")
    (HERE / "evil_raw.pt").write_bytes(pickle.dumps(Payload("/tmp/difftune_pickle_was_run"), protocol=2))


def make_npz():
    latents = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    arrays = dict(latents=latents, original_size=np.array([512, 768]), crop_ltrb=np.array([0.0, 1.5, 2.0, 3.0]), half=latents.astype(np.float16),
                  fortran=np.asfortranarray(latents), mask=latents > 3, bytes=np.arange(3, dtype=np.uint8), ints=np.arange(3, dtype=np.int32),
                  scalar=np.float32(2.5), empty=np.zeros((0, 3), np.float32))
    np.savez(HERE / "numpy.npz", **arrays)
    np.savez_compressed(HERE / "numpy_compressed.npz", **arrays)
    # The records of an archive beyond 4 GiB, in a small one.
    zipfile.ZIP64_LIMIT = 10
    zipfile.ZIP_FILECOUNT_LIMIT = 1
    np.savez(HERE / "numpy_zip64.npz", **arrays)
    zipfile.ZIP64_LIMIT = (1 << 31) - 1
    zipfile.ZIP_FILECOUNT_LIMIT = (1 << 16) - 1
    np.savez(HERE / "objects.npz", a=np.array([{}], dtype=object))


def make_name_maps(layouts):
    """{checkpoint key: shape} of both checkpoints, and {model name: checkpoint key} by the converters of Diffusers."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from diffusers.loaders import single_file_utils as convert
    from transformers import CLIPTextConfig, CLIPTextModel

    for case in ["sd15_ldm", "sd21_ldm"]:
        shapes = {key: shape for key, (_, shape) in json.loads((layouts / f"{case}.json").read_text())["tensors"].items()}
        is_v2 = case == "sd21_ldm"
        # Each key's number as the value; all sizes are 1 but the first, which is that of the fused parts.
        ids = {key: i * 3 for i, key in enumerate(shapes)}
        names = list(shapes)
        marked = {key: torch.full([3 if "in_proj" in key else 1] + [1] * (len(s) - 1) if s else [], float(ids[key])) for key, s in shapes.items()}
        for key, tensor in marked.items():
            if "in_proj" in key:
                tensor += torch.arange(3.0).reshape([3] + [1] * (tensor.dim() - 1))
        with torch.device("meta"):
            unet = UNet2DConditionModel(sample_size=64, cross_attention_dim=1024 if is_v2 else 768, use_linear_projection=is_v2,
                                        attention_head_dim=[5, 10, 20, 20] if is_v2 else 8)
            vae = AutoencoderKL(block_out_channels=(128, 256, 512, 512), layers_per_block=2, latent_channels=4,
                                down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4)
            width = 1024 if is_v2 else 768
            clip = CLIPTextModel(CLIPTextConfig(hidden_size=width, intermediate_size=width * 4, num_hidden_layers=23 if is_v2 else 12,
                                                num_attention_heads=8, vocab_size=49408))
        parts = {
            "unet": (unet, convert.convert_ldm_unet_checkpoint(dict(marked), unet.config)),
            "vae": (vae, convert.convert_ldm_vae_checkpoint(dict(marked), vae.config)),
            "clip": (clip, convert.convert_open_clip_checkpoint(_OpenClipShape(23), dict(marked)) if is_v2
                     else convert.convert_ldm_clip_checkpoint(dict(marked))),
        }
        out = {"checkpoint": shapes}
        for part, (model, converted) in parts.items():
            rows = {}
            for name, parameter in model.state_dict().items():
                if name not in converted:
                    raise SystemExit(f"{case} {part}: no {name}")
                value = int(converted[name].flatten()[0])
                rows[name] = [names[value // 3], value % 3, list(parameter.shape)]
            out[part] = rows
        with gzip.GzipFile(HERE / f"{case}.json.gz", "wb", mtime=0) as f:
            f.write(json.dumps(out, separators=(",", ":")).encode())


class _OpenClipShape:
    """What the converter asks of a text model: its layers and its state dict's names."""

    def __init__(self, num_layers):
        self.config = type("Config", (), {"projection_dim": 1, "hidden_size": 1, "num_hidden_layers": num_layers})()

    def state_dict(self):
        return {}


if __name__ == "__main__":
    make_safetensors()
    make_hashes()
    make_checkpoints()
    make_npz()
    make_name_maps(Path(sys.argv[1]))
