"""Makes what tests/golden and tests/cli read about pictures: the layouts of tiny checkpoints of every family, and the
latents and pictures that diffusers' pipelines make with them (runs.json, *.safetensors).

Run with torch 2.11, diffusers 0.35.2, transformers 4.54.1, peft 0.17 and safetensors:
    python make_pipelines.py TOKENIZERS [RUN...]
TOKENIZERS holds openai_clip-vit-large-patch14/{vocab.json,merges.txt} and google_t5-v1_1-xxl/spiece.model.
"""

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    ChromaPipeline,
    ChromaTransformer2DModel,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    Lumina2Pipeline,
    Lumina2Transformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from safetensors.torch import save_file
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    Gemma2Config,
    Gemma2Model,
    GemmaTokenizerFast,
    T5Config,
    T5EncoderModel,
    T5TokenizerFast,
)

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "models")]
import tiny_checkpoint
from make_dit import flux_names, lumina_names, sd3_names, swapped_halves

TOKENIZERS = Path(sys.argv[1])
WIDTH, HEIGHT = 96, 64
FLUX_LATENTS = dict(scaling_factor=0.3611, shift_factor=0.1159)
SD3_LATENTS = dict(scaling_factor=1.5305, shift_factor=0.0609)


# --- Weights ---------------------------------------------------------------------------------------------------------

def describe(key, shape, counts_from_zero):
    """[shape, exponent, base] of a tensor: activations stay near 1, biases and norms do something."""
    fan_in = 1
    for size in shape[1:]:
        fan_in *= size
    if len(shape) == 1:
        is_bias = key.endswith("bias") or counts_from_zero
        return [shape, -3, 0 if is_bias else 1]
    if "position_embedding" in key or key == "pos_embed":
        return [shape, -2, 0]
    if "token_embedding" in key or "embed_tokens" in key or key == "shared.weight" or "relative_attention_bias" in key:
        return [shape, 0, 0]
    exponent = 0
    while (2.0**exponent) ** 2 / 3 * fan_in > 1.5:
        exponent -= 1
    return [shape, exponent, 0]


def weights_of(name):
    return {key: torch.frombuffer(bytearray(content), dtype=torch.float16).view(shape).float()
            for key, shape, content in tiny_checkpoint.tensors(tiny_checkpoint.load_layout(name))}


def fill(name, seed, model, names=None, more=None, counts_from_zero=False):
    """Writes the layout of a checkpoint whose tensors `names` makes from the model's ({key: [parts]}, or a
    swapped_halves), and gives the model the weights that it describes. `more`: tensors besides, {key: shape}."""
    parameters = dict(model.named_parameters()) | {k: b for k, b in model.named_buffers() if k == "pos_embed.pos_embed"}
    names = names or {k: [k] for k, _ in model.named_parameters()}
    shapes = {}
    for key, parts in names.items():
        first = parameters[parts.name if isinstance(parts, swapped_halves) else parts[0]]
        shape = list(first.shape)
        if not isinstance(parts, swapped_halves):
            shape[0] = sum(parameters[p].shape[0] for p in parts)
        shapes[key] = RESHAPED.get(key.rsplit(".", 2)[-2], lambda s: s)(shape) if name in WITH_ATTENTION_KERNELS else shape
    layout = {"seed": seed, "tensors": {k: describe(k, s, counts_from_zero) for k, s in (shapes | (more or {})).items()}}
    lines = ",\n".join(f"{json.dumps(k)}:{json.dumps(v, separators=(',', ':'))}" for k, v in sorted(layout["tensors"].items()))
    (HERE / "layouts").mkdir(exist_ok=True)
    (HERE / "layouts" / f"{name}.json").write_text(f'{{"seed":{seed},"tensors":{{\n{lines}}}}}\n')
    weights = weights_of(name)
    with torch.no_grad():
        for key, parts in names.items():
            if isinstance(parts, swapped_halves):
                parameters[parts.name].copy_(torch.cat(weights[key].chunk(2)[::-1]))
                continue
            rows = weights[key].split([parameters[p].shape[0] for p in parts])
            for part, value in zip(parts, rows):
                parameters[part].copy_(value.view(parameters[part].shape))
    return model.float().eval()


# --- Parts -----------------------------------------------------------------------------------------------------------

# The attention of LDM's autoencoder is made of 1x1 convolutions.
WITH_ATTENTION_KERNELS = ("ae", "sd3_vae")
RESHAPED = {k: lambda shape: shape + [1, 1] if len(shape) == 2 else shape for k in ("q", "k", "v", "proj_out")}


def ldm_vae_names(vae, prefix):
    """The published names of an autoencoder that diffusers has."""
    names = {}
    for key, _ in vae.named_parameters():
        p = key.split(".")
        if p[1] in ("down_blocks", "up_blocks"):
            level = int(p[2]) if p[1] == "down_blocks" else len(vae.config.block_out_channels) - 1 - int(p[2])
            kind = {"resnets": f"block.{p[4]}", "downsamplers": "downsample", "upsamplers": "upsample"}[p[3]]
            p[1:5] = [p[1].removesuffix("_blocks"), str(level), kind]
        elif p[1] == "mid_block":
            p[1:4] = ["mid", f"block_{int(p[3]) + 1}"] if p[2] == "resnets" else ["mid", f"attn_{int(p[3]) + 1}"]
        ours = ".".join(p)
        for theirs, published in (("conv_shortcut", "nin_shortcut"), ("conv_norm_out", "norm_out"), ("group_norm", "norm"),
                                  ("to_q", "q"), ("to_k", "k"), ("to_v", "v"), ("to_out.0", "proj_out")):
            ours = ours.replace(f".{theirs}.", f".{published}.")
        names[prefix + ours] = [key]
    return names


def vae(name, seed, prefix, channels=16, **more):
    model = AutoencoderKL(block_out_channels=(32,) * 4, layers_per_block=1, norm_num_groups=32, latent_channels=channels,
                          down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
                          use_quant_conv=channels == 4, use_post_quant_conv=channels == 4, **more)
    return fill(name, seed, model, ldm_vae_names(model, prefix) if channels == 16 else None)


def clip(name, seed, has_projection, activation, eos=2):
    config = CLIPTextConfig(vocab_size=49408, hidden_size=64, intermediate_size=128, num_hidden_layers=2,
                            num_attention_heads=1, projection_dim=64, hidden_act=activation, eos_token_id=eos)
    model = (CLIPTextModelWithProjection if has_projection else CLIPTextModel)(config)
    return fill(name, seed, model)


def t5():
    config = T5Config(vocab_size=32128, d_model=160, d_kv=8, d_ff=64, num_layers=2, num_heads=4,
                      feed_forward_proj="gated-gelu", dropout_rate=0.0)
    model = T5EncoderModel(config)
    return fill("t5", 3, model, {k: [k] for k, _ in model.named_parameters() if k != "encoder.embed_tokens.weight"})


def gemma(tokenizer):
    config = Gemma2Config(vocab_size=len(tokenizer), hidden_size=32, intermediate_size=48, num_hidden_layers=3,
                          num_attention_heads=8, num_key_value_heads=4, head_dim=8, query_pre_attn_scalar=8)
    return fill("gemma2", 4, Gemma2Model._from_config(config, attn_implementation="sdpa"), counts_from_zero=True)


def clip_tokenizer(pad=None):
    folder = TOKENIZERS / "openai_clip-vit-large-patch14"
    more = {"pad_token": pad} if pad else {}
    return CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77, **more)


def t5_tokenizer():
    return T5TokenizerFast.from_pretrained(TOKENIZERS / "google_t5-v1_1-xxl")


FLUX_SIZES = dict(patch_size=1, in_channels=64, num_layers=1, num_single_layers=2, attention_head_dim=16,
                  num_attention_heads=2, joint_attention_dim=160, axes_dims_rope=(4, 6, 6))


# --- Runs ------------------------------------------------------------------------------------------------------------

def save_run(name, call, decode, settings):
    latents = call()
    with torch.no_grad():
        decoded = decode(latents)[0]
    image = ((decoded / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous()
    save_file({"latents": latents.contiguous(), "image": image}, HERE / f"{name}.safetensors")
    print(name, "latents", round(latents.std().item(), 3), "picture", round(image.float().std().item(), 1))
    return {"name": name} | settings


def prompts(prompt="a red cat, in a hat", negative="", steps=4, scale=1.0, seed=7, **more):
    return {"prompt": prompt, "negative_prompt": negative, "steps": steps, "scale": scale, "seed": seed} | more


def start(settings):
    return dict(width=WIDTH, height=HEIGHT, num_inference_steps=settings["steps"], output_type="latent",
                generator=torch.Generator().manual_seed(settings["seed"]))


def unpack(x):
    h, w = HEIGHT // 16, WIDTH // 16
    return x.view(1, h, w, 16, 2, 2).permute(0, 3, 1, 4, 2, 5).reshape(1, 16, 2 * h, 2 * w)


def decoder(model):
    return lambda latents: model.decode(latents / model.config.scaling_factor + model.config.shift_factor).sample


def flux(name, has_guidance, seed, **shift):
    torch.manual_seed(0)
    autoencoder = vae("ae", 1, "", **FLUX_LATENTS)
    model = FluxTransformer2DModel(**FLUX_SIZES, pooled_projection_dim=64, guidance_embeds=has_guidance)
    pipe = FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(**shift), vae=autoencoder,
        text_encoder=clip("clip_l", 2, False, "quick_gelu"), tokenizer=clip_tokenizer(), text_encoder_2=t5(),
        tokenizer_2=t5_tokenizer(), transformer=fill(name, seed, model, flux_names(1, 2, has_guidance)))

    def run(label, settings):
        guidance = {"guidance_scale": settings["guidance"]} if has_guidance else {}
        guided = {"negative_prompt": settings["negative_prompt"]} if settings["scale"] != 1 else {}
        return save_run(label, lambda: unpack(pipe(
            settings["prompt"], true_cfg_scale=settings["scale"], max_sequence_length=512 if has_guidance else 256,
            **start(settings), **guidance, **guided).images), decoder(autoencoder), settings)

    return run


DYNAMIC = dict(use_dynamic_shifting=True, base_shift=0.5, max_shift=1.15, base_image_seq_len=256, max_image_seq_len=4096)


def flux_dev():
    run = flux("flux_dev", True, 11, **DYNAMIC)
    yield run("flux_dev", prompts(guidance=2.5))
    yield run("flux_dev_guided", prompts(guidance=1.0, scale=3.0, negative="blurred", seed=3))


def flux_schnell():
    yield flux("flux_schnell", False, 12, use_dynamic_shifting=False)("flux_schnell", prompts())


def reference_sizes():
    return dict(in_channels=64, context_in_dim=160, hidden_size=32, mlp_ratio=4.0, num_heads=2, depth=1,
                depth_single_blocks=2, axes_dim=[4, 6, 6], theta=10_000, qkv_bias=True)


def sampled_by_the_reference(model, text, pooled, settings, guidance, noise_dtype=torch.float32, shift=True, **more):
    """The reference's loop of FLUX, with noise drawn in tokens. SD_SCRIPTS names a checkout of 48d368f."""
    from library import flux_train_utils, flux_utils

    rows, columns = HEIGHT // 16, WIDTH // 16
    noise = torch.randn(1, rows * columns, 64, generator=torch.Generator().manual_seed(settings["seed"]), dtype=noise_dtype)
    with torch.no_grad():
        return unpack(flux_train_utils.denoise(
            model.eval(), noise.float(), flux_utils.prepare_img_ids(1, rows, columns), text,
            torch.zeros(1, text.shape[1], 3), pooled,
            flux_train_utils.get_schedule(settings["steps"], rows * columns, shift=shift), guidance=guidance, **more))


def t5_ids(text, length):
    return t5_tokenizer()(text, padding="max_length", max_length=length, return_tensors="pt")


def reference_flux(name, settings, activation, length, guidance, **more):
    """The reference's model and loop; the activation is that of its CLIP."""
    sys.path.insert(0, os.environ["SD_SCRIPTS"])
    from library import flux_models

    autoencoder = vae("ae", 1, "", **FLUX_LATENTS)
    model = flux_models.Flux(flux_models.FluxParams(
        **reference_sizes(), vec_in_dim=64, guidance_embed="guidance_in.in_layer.weight" in weights_of(name)))
    model.load_state_dict(weights_of(name))
    ids = clip_tokenizer()(settings["prompt"], padding="max_length", return_tensors="pt").input_ids

    def call():
        with torch.no_grad():
            pooled = clip("clip_l", 2, False, activation)(ids).pooler_output
            text = t5()(t5_ids(settings["prompt"], length).input_ids).last_hidden_state
        return sampled_by_the_reference(model, text, pooled, settings, guidance, **more)

    return call, decoder(autoencoder)


def flux_schnell_sample():
    """A sample of the reference during training: CLIP with the exact GELU, the schedule of dev."""
    settings = prompts()
    yield save_run("flux_schnell_sample", *reference_flux("flux_schnell", settings, "gelu", 256, 3.5), settings)


def flux_dev_noise():
    """What the reference's inference draws where it computes in bfloat16; all else is in float32 here."""
    settings = prompts(guidance=2.5)
    yield save_run("flux_dev_noise", *reference_flux("flux_dev", settings, "gelu", 512, 2.5, noise_dtype=torch.bfloat16),
                   settings)


def chroma_sample():
    """A sample of the reference during training, which tells Chroma the guidance of FLUX."""
    sys.path.insert(0, os.environ["SD_SCRIPTS"])
    from library import chroma_models

    autoencoder = vae("ae", 1, "", **FLUX_LATENTS)
    model = chroma_models.Chroma(chroma_models.ChromaParams(
        **reference_sizes(), guidance_embed=True, approximator_in_dim=64, approximator_depth=2,
        approximator_hidden_size=20, _use_compiled=False))
    model.load_state_dict(weights_of("chroma"))
    settings = prompts()
    tokens = t5_ids(settings["prompt"], 512)

    def call():
        with torch.no_grad():
            text = t5()(tokens.input_ids, attention_mask=tokens.attention_mask).last_hidden_state
        return sampled_by_the_reference(model, text, torch.zeros(1, 1), settings, 3.5, t5_attn_mask=tokens.attention_mask)

    yield save_run("chroma_sample", call, decoder(autoencoder), settings)


def lumina_sample():
    """A sample of the reference during training: SD3's schedule, and latents whose shift and scale are taken off twice."""
    sys.path.insert(0, os.environ["SD_SCRIPTS"])
    from library import lumina_models, lumina_train_util

    autoencoder = vae("ae", 1, "", **FLUX_LATENTS)
    model = lumina_models.NextDiT(
        patch_size=2, in_channels=16, dim=24, n_layers=2, n_refiner_layers=1, n_heads=4, n_kv_heads=2, multiple_of=8,
        qk_norm=True, cap_feat_dim=32, axes_dims=[2, 2, 2], axes_lens=[300, 512, 512])
    model.load_state_dict(weights_of("lumina"))
    tokenizer = lumina_tokenizer()
    settings = prompts(scale=3.5, negative="dogs", trunc=0.25, renorm=1.0, steps=6, system_prompt="You draw well.")
    encoder = gemma(tokenizer)

    def encode(prompt):
        tokens = tokenizer(prompt, padding="max_length", max_length=256, truncation=True, return_tensors="pt")
        states = encoder(tokens.input_ids, attention_mask=tokens.attention_mask, output_hidden_states=True).hidden_states
        return states[-2], tokens.attention_mask

    def call():
        scheduler = FlowMatchEulerDiscreteScheduler(shift=6.0)
        times, _ = lumina_train_util.retrieve_timesteps(scheduler, num_inference_steps=settings["steps"])
        noise = torch.randn(1, 16, HEIGHT // 8, WIDTH // 8, generator=torch.Generator().manual_seed(settings["seed"]))
        with torch.no_grad():
            return lumina_train_util.denoise(
                scheduler, model.eval(), noise, *encode(f"{settings['system_prompt']} <Prompt Start> {settings['prompt']}"),
                *encode(settings["negative_prompt"]), timesteps=times, guidance_scale=settings["scale"],
                cfg_trunc_ratio=settings["trunc"], renorm_cfg=settings["renorm"])

    once = decoder(autoencoder)
    scale, shift = FLUX_LATENTS["scaling_factor"], FLUX_LATENTS["shift_factor"]
    yield save_run("lumina_sample", call, lambda latents: once(latents / scale + shift), settings)


class MendedChromaPipeline(ChromaPipeline):
    """0.35 adds its mask to the scores as numbers instead of hiding what it excludes; 0.42 has it so."""

    def _prepare_attention_mask(self, *args, **kwargs):
        return super()._prepare_attention_mask(*args, **kwargs).bool()


def without_the_extra_token(encoder):
    """0.35 shows T5 the padding token that only the transformer shall see; 0.36 does not."""
    forward = encoder.forward
    encoder.forward = lambda ids, attention_mask, **more: forward(
        ids, attention_mask=(attention_mask.cumsum(1) < attention_mask.sum(1, keepdim=True)).long(), **more)
    return encoder


def chroma():
    torch.manual_seed(0)
    autoencoder = vae("ae", 1, "", **FLUX_LATENTS)
    model = ChromaTransformer2DModel(**FLUX_SIZES, approximator_num_channels=64, approximator_hidden_dim=20,
                                     approximator_layers=2)
    names = {k: v for k, v in flux_names(1, 2, False).items()
             if not any(x in k for x in (".img_mod.", ".txt_mod.", ".modulation.", "time_in.", "vector_in.", "adaLN"))}
    for key, _ in model.named_parameters():
        if key.startswith("distilled_guidance_layer."):
            ours = key.replace("linear_1", "in_layer").replace("linear_2", "out_layer")
            names[ours.replace(".weight", ".scale") if ".norms." in key else ours] = [key]
    pipe = MendedChromaPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(**DYNAMIC), vae=autoencoder, text_encoder=without_the_extra_token(t5()),
        tokenizer=t5_tokenizer(), transformer=fill("chroma", 13, model, names))
    settings = prompts(scale=3.0, negative="a dog")
    yield save_run("chroma", lambda: unpack(pipe(
        settings["prompt"], negative_prompt=settings["negative_prompt"], guidance_scale=settings["scale"],
        max_sequence_length=512, **start(settings)).images), decoder(autoencoder), settings)


def sd3():
    torch.manual_seed(0)
    autoencoder = vae("sd3_vae", 5, "first_stage_model.", **SD3_LATENTS)
    model = SD3Transformer2DModel(
        sample_size=16, patch_size=2, in_channels=16, num_layers=2, attention_head_dim=8, num_attention_heads=4,
        joint_attention_dim=160, caption_projection_dim=32, pooled_projection_dim=128, out_channels=16,
        pos_embed_max_size=16, dual_attention_layers=(0,), qk_norm="rms_norm")
    names = sd3_names(2, 1, True) | {"pos_embed": ["pos_embed.pos_embed"]}
    names = {f"model.diffusion_model.{k}" if k != "pos_embed" else "model.diffusion_model.pos_embed": v
             for k, v in names.items()}
    pipe = StableDiffusion3Pipeline(
        transformer=fill("sd3", 14, model, names), scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0), vae=autoencoder,
        text_encoder=clip("clip_l_projected", 6, True, "quick_gelu"), tokenizer=clip_tokenizer(),
        text_encoder_2=clip("clip_g", 7, True, "gelu"), tokenizer_2=clip_tokenizer(pad="!"), text_encoder_3=t5(),
        tokenizer_3=t5_tokenizer())
    settings = prompts(scale=4.0, negative="a dog")
    yield save_run("sd3", lambda: pipe(
        settings["prompt"], negative_prompt=settings["negative_prompt"], guidance_scale=settings["scale"],
        max_sequence_length=256, **start(settings)).images, decoder(autoencoder), settings)


def authors_guidance(transformer, settings, latents, sigmas, text, mask, no_text, no_mask):
    """The loop of Alpha-VLLM/Lumina-Image-2.0 with its limits of guidance, which differ from those of diffusers: it ends
    by time, and the norm is that of the whole prediction."""
    for sigma, following in zip(sigmas[:-1], sigmas[1:]):
        t = torch.tensor([1 - sigma])
        velocity = transformer(latents, t, text, mask, return_dict=False)[0]
        if t.item() < settings["trunc"]:
            unwanted = transformer(latents, t, no_text, no_mask, return_dict=False)[0]
            guided = unwanted + settings["scale"] * (velocity - unwanted)
            ratio = settings["renorm"] * velocity.norm() / guided.norm()
            print("  guided at", round(t.item(), 3), "norm ratio", round(ratio.item(), 3))
            velocity = guided * min(1.0, ratio.item()) if settings["renorm"] > 0 else guided
        latents = latents + velocity * (sigma - following)
    return latents


def lumina_tokenizer():
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(HERE.parent / "text/small_gemma.model", Path(folder) / "tokenizer.model")
        return GemmaTokenizerFast.from_pretrained(folder, padding_side="right")


def lumina():
    torch.manual_seed(0)
    autoencoder = vae("ae", 1, "", **FLUX_LATENTS)
    tokenizer = lumina_tokenizer()
    model = Lumina2Transformer2DModel(
        sample_size=16, patch_size=2, in_channels=16, hidden_size=24, num_layers=2, num_refiner_layers=1,
        num_attention_heads=4, num_kv_heads=2, multiple_of=8, norm_eps=1e-5, axes_dim_rope=(2, 2, 2),
        axes_lens=(300, 512, 512), cap_feat_dim=32)
    pipe = Lumina2Pipeline(
        transformer=fill("lumina", 15, model, lumina_names(1, 2), more={"norm_final.weight": [24]}),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=6.0), vae=autoencoder, text_encoder=gemma(tokenizer),
        tokenizer=tokenizer)
    settings = prompts(scale=3.5, negative="dogs", trunc=1.0, renorm=0.0, system_prompt="You draw well.")
    yield save_run("lumina", lambda: pipe(
        settings["prompt"], negative_prompt=settings["negative_prompt"], guidance_scale=settings["scale"],
        system_prompt=settings["system_prompt"], cfg_trunc_ratio=1.0, cfg_normalization=False,
        **start(settings)).images, decoder(autoencoder), settings)

    limited = settings | {"trunc": 0.25, "renorm": 1.0, "steps": 6}

    def call():
        pipe.scheduler.set_timesteps(sigmas=[1 - i * (1 - 1 / 6) / 5 for i in range(6)])
        with torch.no_grad():
            text, mask, no_text, no_mask = pipe.encode_prompt(
                limited["prompt"], True, negative_prompt=limited["negative_prompt"], system_prompt=limited["system_prompt"])
            latents = torch.randn(1, 16, HEIGHT // 8, WIDTH // 8, generator=torch.Generator().manual_seed(limited["seed"]))
            return authors_guidance(pipe.transformer, limited, latents, pipe.scheduler.sigmas.tolist(), text, mask,
                                    no_text, no_mask)

    yield save_run("lumina_limited", call, decoder(autoencoder), limited)


def sdxl():
    """A folder in diffusers' layout; what shapes do not show stands in its config.json files."""
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        block_out_channels=(32, 64), layers_per_block=1, cross_attention_dim=128, attention_head_dim=(1, 1),
        transformer_layers_per_block=(1, 2), norm_num_groups=32, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), use_linear_projection=True, addition_embed_type="text_time",
        addition_time_embed_dim=8, projection_class_embeddings_input_dim=64 + 6 * 8)
    autoencoder = vae("sdxl_vae", 8, "", channels=4, scaling_factor=0.13025, force_upcast=False)
    # In the folder the first encoder's last layer is not used.
    pipe = StableDiffusionXLPipeline(
        vae=autoencoder, text_encoder=clip("sdxl_text_encoder", 9, False, "quick_gelu"), tokenizer=clip_tokenizer(),
        text_encoder_2=clip("sdxl_text_encoder_2", 10, True, "gelu"), tokenizer_2=clip_tokenizer(pad="!"),
        unet=fill("sdxl_unet", 16, unet),
        scheduler=EulerDiscreteScheduler(num_train_timesteps=1000, beta_start=0.00085, beta_end=0.012,
                                         beta_schedule="scaled_linear"),
        force_zeros_for_empty_prompt=False, add_watermarker=False)
    settings = prompts(scale=7.0, negative="a dog", second_prompt="a blue bird")
    yield save_run("sdxl", lambda: pipe(
        settings["prompt"], prompt_2=settings["second_prompt"], negative_prompt=settings["negative_prompt"],
        guidance_scale=settings["scale"], **start(settings)).images,
        lambda latents: autoencoder.decode(latents / autoencoder.config.scaling_factor).sample, settings)


def main():
    torch.set_num_threads(1)
    file = HERE / "runs.json"
    runs = {run["name"]: run for run in json.loads(file.read_text())} if file.exists() else {}
    for make in (sdxl, flux_dev, flux_schnell, chroma, sd3, lumina, flux_schnell_sample, flux_dev_noise, chroma_sample,
                 lumina_sample):
        if len(sys.argv) < 3 or make.__name__ in sys.argv[2:]:
            runs |= {run["name"]: run for run in make()}
    file.write_text("[\n" + ",\n".join(json.dumps(run) for run in runs.values()) + "\n]\n")


main()
