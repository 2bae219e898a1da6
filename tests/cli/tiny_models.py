"""Tiny models of every family for tests that run whole commands; see tests/data/pipelines/tiny_checkpoint.py."""

import shutil
import struct
import sys
import zlib
from pathlib import Path

DATA = Path(__file__).resolve().parent.parent / "data"
sys.path.insert(0, str(DATA / "pipelines"))
import tiny_checkpoint  # noqa: E402

SDXL_CONFIGS = {
    "unet": ("sdxl_unet", "diffusion_pytorch_model", '{"attention_head_dim": [1, 1], "norm_num_groups": 32}'),
    "vae": ("sdxl_vae", "diffusion_pytorch_model", '{"norm_num_groups": 32}'),
    "text_encoder": ("sdxl_text_encoder", "model", '{"num_attention_heads": 1, "hidden_act": "quick_gelu"}'),
    "text_encoder_2": ("sdxl_text_encoder_2", "model", '{"num_attention_heads": 1, "hidden_act": "gelu"}'),
}


class TinyModel:
    """The options with which the training and the inference command of a family name its files below `folder`."""

    def __init__(self, folder, family):
        self.folder, self.family = Path(folder), family
        getattr(self, f"_make_{family}")()

    def _file(self, name, layouts=None):
        return tiny_checkpoint.write(layouts or name, self.folder / f"{name}.safetensors")

    def _make_sdxl(self):
        model = self.folder / "sdxl"
        for part, (layout, weights, config) in SDXL_CONFIGS.items():
            tiny_checkpoint.write(layout, model / part / f"{weights}.safetensors")
            (model / part / "config.json").write_text(config)
        (model / "model_index.json").write_text('{"_class_name": "StableDiffusionXLPipeline"}')
        self.train = ["sdxl_train_network", "--pretrained_model_name_or_path", model]
        self.picture = ["sdxl_minimal_inference", "--ckpt_path", model]
        self.size, self.scale, self.module = ("--width", "--height"), "--guidance_scale", "networks.lora"

    def _make_flux(self, layout="flux_dev", model_type="flux"):
        parts = ["--t5xxl", self._file("t5"), "--ae", self._file("ae")]
        if model_type == "flux":
            parts += ["--clip_l", self._file("clip_l")]
        else:
            parts += ["--model_type", model_type, "--apply_t5_attn_mask"]
        model = self._file(layout)
        self.train = ["flux_train_network", "--pretrained_model_name_or_path", model, *parts]
        self.picture = ["flux_minimal_inference", "--ckpt_path", model, *parts, "--dtype", "float32"]
        self.size, self.scale, self.module = ("--width", "--height"), "--cfg_scale", "networks.lora_flux"

    def _make_schnell(self):
        self._make_flux("flux_schnell")

    def _make_chroma(self):
        self._make_flux("chroma", "chroma")

    def _make_sd3(self):
        model = self._file("sd3", ["sd3", "sd3_vae"])
        parts = ["--clip_l", self._file("clip_l_projected"), "--clip_g", self._file("clip_g"), "--t5xxl", self._file("t5")]
        self.train = ["sd3_train_network", "--pretrained_model_name_or_path", model, *parts]
        self.picture = ["sd3_minimal_inference", "--ckpt_path", model, *parts]
        self.size, self.scale, self.module = ("--width", "--height"), "--cfg_scale", "networks.lora_sd3"

    def _make_lumina(self):
        tokenizer = self.folder / "google_gemma-2-2b"
        tokenizer.mkdir(parents=True, exist_ok=True)
        shutil.copy(DATA / "text/small_gemma.model", tokenizer / "tokenizer.model")
        model, gemma, ae = self._file("lumina"), self._file("gemma2"), self._file("ae")
        self.train = ["lumina_train_network", "--pretrained_model_name_or_path", model, "--gemma2", gemma, "--ae", ae,
                      "--tokenizer_cache_dir", self.folder]
        self.picture = ["lumina_minimal_inference", "--pretrained_model_name_or_path", model, "--gemma2_path", gemma,
                        "--ae_path", ae, "--tokenizer_cache_dir", self.folder, "--dtype", "float32", "--gemma2_dtype",
                        "float32", "--ae_dtype", "float32"]
        self.size, self.scale, self.module = ("--image_width", "--image_height"), "--guidance_scale", "networks.lora_lumina"


FAMILIES = ("sdxl", "flux", "schnell", "chroma", "sd3", "lumina")


def pixels(path):
    """(width, height, the bytes of the rows) of a PNG of 8-bit RGB."""
    content, at, data = Path(path).read_bytes(), 8, b""
    while at < len(content):
        length, kind = struct.unpack(">I4s", content[at:at + 8])
        body = content[at + 8:at + 8 + length]
        if kind == b"IHDR":
            width, height = struct.unpack(">II", body[:8])
        elif kind == b"IDAT":
            data += body
        at += length + 12
    raw, stride, rows = zlib.decompress(data), 3 * width, []
    above = bytes(stride)
    for y in range(height):
        kind, row = raw[y * (stride + 1)], bytearray(raw[y * (stride + 1) + 1:(y + 1) * (stride + 1)])
        for x in range(stride):
            left, up = row[x - 3] if x >= 3 else 0, above[x]
            corner = above[x - 3] if x >= 3 else 0
            nearest = min((left, up, corner), key=lambda v: abs(left + up - corner - v))
            row[x] = (row[x] + (0, left, up, (left + up) // 2, nearest)[kind]) & 0xFF
        above = bytes(row)
        rows.append(above)
    return width, height, b"".join(rows)


def largest_difference(a, b):
    return max(abs(x - y) for x, y in zip(pixels(a)[2], pixels(b)[2]))
