"""Writes a tiny random SD model as a Diffusers folder, and pictures that diffusers makes with it.

Run with torch 2.11, diffusers 0.32.1, transformers 4.54.1 and safetensors:
    python make_generate.py
Two levels of the real thing are kept: cross attention, skips, an autoencoder with 8 pixels per latent.
"""

import json
import shutil
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer
from transformers.models.clip.tokenization_clip import bytes_to_unicode

FOLDER = Path(__file__).parent
MODEL = FOLDER / "model"
TOKENIZER = FOLDER / "tokenizer" / "openai_clip-vit-large-patch14"
SCHEDULE = dict(num_train_timesteps=1000, beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
SAMPLERS = {
    "ddim": lambda **more: DDIMScheduler(**SCHEDULE, clip_sample=False, **more),
    "ddim_clipped": lambda **more: DDIMScheduler(**SCHEDULE, clip_sample=True, **more),
    "euler": lambda **more: EulerDiscreteScheduler(**SCHEDULE, **more),
    "euler_a": lambda **more: EulerAncestralDiscreteScheduler(**SCHEDULE, **more),
    "heun": lambda **more: HeunDiscreteScheduler(**SCHEDULE, **more),
    "dpmsolver++": lambda **more: DPMSolverMultistepScheduler(**SCHEDULE, algorithm_type="dpmsolver++", **more),
}


def make_tokenizer():
    """A vocabulary of single bytes and a few merges."""
    TOKENIZER.mkdir(parents=True, exist_ok=True)
    merges = [("c", "a"), ("ca", "t</w>"), ("d", "o"), ("do", "g</w>"), ("r", "e"), ("re", "d</w>")]
    symbols = list(bytes_to_unicode().values())
    tokens = symbols + [s + "</w>" for s in symbols] + ["".join(m) for m in merges]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    (TOKENIZER / "vocab.json").write_text(json.dumps({t: i for i, t in enumerate(tokens)}))
    (TOKENIZER / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
    return CLIPTokenizer(str(TOKENIZER / "vocab.json"), str(TOKENIZER / "merges.txt"), model_max_length=77)


def make_parts(vocabulary_size):
    torch.manual_seed(1)
    eos = vocabulary_size - 1
    text = CLIPTextModel(CLIPTextConfig(
        vocab_size=vocabulary_size, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        hidden_act="quick_gelu", bos_token_id=eos - 1, eos_token_id=eos, pad_token_id=eos))
    unet = UNet2DConditionModel(
        block_out_channels=(16, 32), layers_per_block=1, cross_attention_dim=32, attention_head_dim=2,
        norm_num_groups=8, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"))
    vae = AutoencoderKL(
        block_out_channels=(8, 8, 16, 16), layers_per_block=1, norm_num_groups=8,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4)
    with torch.no_grad():  # outputs of about the size of a trained model's, that depend on the prompt
        unet.conv_out.weight *= 2
        for name, weight in unet.named_parameters():
            if "attn2.to_v" in name or "attn2.to_out" in name:
                weight *= 4
        vae.decoder.conv_out.weight *= 3
    return {"unet": unet, "vae": vae, "text_encoder": text}


def save_parts(parts):
    shutil.rmtree(MODEL, ignore_errors=True)
    for name, part in parts.items():
        part.to(torch.float16).save_pretrained(MODEL / name)
        part.to(torch.float32).eval()
        # Not all of a real config is kept: just what does not show in the shapes.
        file = MODEL / name / "config.json"
        kept = {"attention_head_dim", "norm_num_groups", "num_attention_heads", "hidden_act"}
        config = {k: v for k, v in json.loads(file.read_text()).items() if k in kept}
        file.write_text(json.dumps(config, indent=1) + "\n")
    (MODEL / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}\n')


def make_run(pipe, sampler, prediction, prompt, negative, steps, scale, seed):
    pipe.scheduler = SAMPLERS[sampler](prediction_type=prediction)
    latents = pipe(
        prompt, negative_prompt=negative, width=96, height=64, num_inference_steps=steps, guidance_scale=scale,
        generator=torch.Generator().manual_seed(seed), output_type="latent").images
    with torch.no_grad():
        decoded = pipe.vae.decode(latents / 0.18215).sample[0]
    name = f"run_{sampler}_{prediction}_{scale}".replace("+", "p").replace(".", "_")
    image = ((decoded / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous()
    save_file({"latents": latents, "image": image}, FOLDER / f"{name}.safetensors")
    print(name, latents.std().item(), image.float().std().item())
    return {"file": f"{name}.safetensors", "sampler": sampler, "prediction": prediction, "prompt": prompt,
            "negative_prompt": negative, "steps": steps, "scale": scale, "seed": seed}


def main():
    torch.set_num_threads(1)
    tokenizer = make_tokenizer()
    parts = make_parts(len(tokenizer))
    save_parts(parts)
    pipe = StableDiffusionPipeline(
        **parts, tokenizer=tokenizer, scheduler=SAMPLERS["ddim"](), safety_checker=None, feature_extractor=None,
        requires_safety_checker=False)
    pipe.set_progress_bar_config(disable=True)
    # Clipping with a high scale amplifies rounding: diffusers' own float32 and float64 differ by 9e-5 at 7.5.
    runs = [make_run(pipe, sampler, "epsilon", "a red cat", "dog", 6, 2.0 if sampler == "ddim_clipped" else 7.5, 1)
            for sampler in SAMPLERS]
    runs.append(make_run(pipe, "euler", "v_prediction", "dog, in a hat", "", 5, 3.0, 2))
    runs.append(make_run(pipe, "ddim", "epsilon", "a red cat", "dog", 6, 1.0, 3))
    (FOLDER / "runs.json").write_text(json.dumps(runs, indent=1) + "\n")


main()
