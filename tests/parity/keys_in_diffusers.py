"""Whether every layer of a LoRA finds its place in Diffusers:  keys_in_diffusers.py FAMILY LORA [--blocks N N]

By hand, as it needs torch, diffusers 0.35 and peft. FAMILY is sdxl, flux or chroma; Diffusers does not read such files for
SD 3 and Lumina. LORA is one for the denoiser of full width; --blocks are the double and single blocks of a cut model. The
model is built without values, so that this takes seconds and little memory.
"""
import argparse
import sys

import torch
from diffusers import (ChromaPipeline, ChromaTransformer2DModel, FluxPipeline, FluxTransformer2DModel,
                       StableDiffusionXLPipeline, UNet2DConditionModel)
from diffusers.utils import convert_unet_state_dict_to_peft
from safetensors import safe_open

SDXL = {
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"), "block_out_channels": (320, 640, 1280),
    "layers_per_block": 2, "cross_attention_dim": 2048, "attention_head_dim": (5, 10, 20),
    "transformer_layers_per_block": (1, 2, 10), "use_linear_projection": True, "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256, "projection_class_embeddings_input_dim": 2816, "sample_size": 128,
}


def converted(family, path, blocks):
    """The model and the LoRA's tensors under the model's names. Diffusers raises an error for a key that is left over."""
    with torch.device("meta"):
        if family == "sdxl":
            model = UNet2DConditionModel(**SDXL)
        else:
            kind = FluxTransformer2DModel if family == "flux" else ChromaTransformer2DModel
            model = kind(num_layers=blocks[0], num_single_layers=blocks[1])
    if family == "sdxl":
        tensors, _ = StableDiffusionXLPipeline.lora_state_dict(path, unet_config=model.config)
        return model, convert_unet_state_dict_to_peft(tensors)
    pipeline = FluxPipeline if family == "flux" else ChromaPipeline
    tensors = pipeline.lora_state_dict(path)
    return model, tensors[0] if isinstance(tensors, tuple) else tensors


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("family", choices=("sdxl", "flux", "chroma"))
    parser.add_argument("lora")
    parser.add_argument("--blocks", type=int, nargs=2, default=(19, 38))
    a = parser.parse_args()
    with safe_open(a.lora, "pt") as file:
        modules = sum(key.endswith(".lora_down.weight") for key in file.keys())
    model, tensors = converted(a.family, a.lora, a.blocks)
    layers = {name for name, _ in model.named_modules()}
    names = {key.split(".", 1)[1].rsplit(".lora_", 1)[0] for key in tensors if ".lora_" in key}
    lost = sorted(names - layers)
    print(f"{modules} modules in the file become {len(names)} layers, {len(lost)} of them not in the model: {lost[:3]}")
    sys.exit(1 if lost or len(names) < modules else 0)


if __name__ == "__main__":
    main()
