"""A LoRA trained by difftune, loaded by Diffusers: every key must find its layer, and both must draw the same picture.

By hand, as it needs torch, diffusers 0.32, transformers 4.54, peft and PIL:  load_in_diffusers.py DIFFTUNE
It makes a small random Stable Diffusion, trains a LoRA on four noise pictures for three steps, has difftune sample a
picture at the last step, and draws the same prompt with StableDiffusionPipeline and that LoRA.
"""
import gzip
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from PIL import Image
from safetensors.torch import load_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

PROJECT = Path(__file__).resolve().parents[2]
PROMPT, SIZE, STEPS, SCALE, SEED = "a red flower", 64, 6, 5.0, 7
LARGEST_MEAN_DIFFERENCE = 1.0  # of 255: rounding, not another picture


def byte_names():
    """Printable characters that stand for the 256 bytes in CLIP's vocabulary."""
    kept = [*range(ord("!"), ord("~") + 1), *range(ord("\u00a1"), ord("\u00ac") + 1), *range(ord("\u00ae"), ord("\u00ff") + 1)]
    others = [b for b in range(256) if b not in kept]
    return [chr(b) for b in kept] + [chr(256 + i) for i in range(len(others))]


def make_tokenizer(folder):
    lines = gzip.open(PROJECT / "assets" / "bpe_simple_vocab_16e6.txt.gz", "rt", encoding="utf-8").read().split("\n")
    merges = lines[1:49152 - 256 - 2 + 1]
    names = byte_names()
    words = names + [n + "</w>" for n in names] + ["".join(m.split()) for m in merges] + ["<|startoftext|>", "<|endoftext|>"]
    folder.mkdir()
    (folder / "vocab.json").write_text(json.dumps({w: i for i, w in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    return CLIPTokenizer(folder / "vocab.json", folder / "merges.txt", model_max_length=77)


def make_pipeline(folder):
    torch.manual_seed(1)
    unet = UNet2DConditionModel(block_out_channels=(32, 64), layers_per_block=1, cross_attention_dim=64, attention_head_dim=8,
                                down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
                                up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), sample_size=SIZE // 8)
    vae = AutoencoderKL(block_out_channels=(32,) * 4, layers_per_block=1, latent_channels=4,
                        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4)
    text = CLIPTextModel(CLIPTextConfig(hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=1,
                                        vocab_size=49408, eos_token_id=49407, bos_token_id=49406, pad_token_id=49407))
    scheduler = DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, steps_offset=1)
    pipeline = StableDiffusionPipeline(vae=vae, text_encoder=text, tokenizer=make_tokenizer(folder / "tokenizer"), unet=unet,
                                       scheduler=scheduler, safety_checker=None, feature_extractor=None)
    pipeline.save_pretrained(folder / "model")
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def train(difftune, folder):
    pictures = folder / "pictures" / "1_flower"
    pictures.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(4):
        Image.fromarray(rng.integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8)).save(pictures / f"{i}.png")
    (folder / "prompts.txt").write_text(f"{PROMPT} --w {SIZE} --h {SIZE} --s {STEPS} --l {SCALE} --d {SEED}\n")
    subprocess.run(
        [difftune, "train_network", "--pretrained_model_name_or_path", "model", "--train_data_dir", "pictures",
         "--resolution", str(SIZE), "--network_module", "networks.lora", "--network_dim", "4", "--network_alpha", "4",
         "--network_args", "conv_dim=4", "conv_alpha=4", "--learning_rate", "5e-2", "--optimizer_type", "AdamW",
         "--max_train_steps", "3", "--seed", "1", "--save_precision", "float", "--output_dir", "out", "--output_name", "lora",
         "--save_model_as", "safetensors", "--sample_prompts", "prompts.txt", "--sample_every_n_steps", "3",
         "--sample_sampler", "ddim"], cwd=folder, check=True)
    [picture] = (folder / "out" / "sample").glob("*.png")
    return folder / "out" / "lora.safetensors", Image.open(picture)


def num_lora_layers(module):
    return sum("lora_A" in name and name.endswith(".weight") for name, _ in module.named_parameters())


def draw(pipeline):
    latents = torch.randn((1, 4, SIZE // 8, SIZE // 8), generator=torch.manual_seed(SEED))
    return pipeline(PROMPT, negative_prompt="", height=SIZE, width=SIZE, num_inference_steps=STEPS, guidance_scale=SCALE,
                    latents=latents).images[0]


def mean_difference(a, b):
    return float(np.abs(np.asarray(a.convert("RGB"), float) - np.asarray(b.convert("RGB"), float)).mean())


def main():
    difftune = str(Path(sys.argv[1]).resolve())
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        pipeline = make_pipeline(folder)
        before = draw(pipeline)
        lora, ours = train(difftune, folder)
        pipeline.load_lora_weights(lora)
        modules = sum(key.endswith(".lora_down.weight") for key in load_file(lora))
        found = num_lora_layers(pipeline.unet) + num_lora_layers(pipeline.text_encoder)
        theirs = draw(pipeline)
        difference, effect = mean_difference(ours, theirs), mean_difference(before, theirs)
        print(f"{found} of {modules} modules found; pictures differ by {difference:.3f}, the LoRA's own effect is {effect:.1f}")
        good = found == modules and difference < LARGEST_MEAN_DIFFERENCE < effect
        print("held" if good else "FAIL")
        sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
