"""Makes the files that the transformer tests of tests/unit/models read: small models with random weights under the names
of the published checkpoints, their inputs, outputs and gradients. See make_models.py for what a file holds.

FLUX, SD3 and Lumina 2 are computed by diffusers (Lumina needs 0.33.1, the others were made with 0.32.1), what diffusers
lacks (masks, Chroma, scaled positions, the reference's heads) by sd-scripts, a checkout of 48d368f that the first
argument names. Further arguments pick the files to make.
"""
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

HERE = Path(__file__).parent
if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])


def randomize(model):
    """Weights that keep activations near 1, exactly representable in fp16; biases and norms that do something."""
    with torch.no_grad():
        for name, p in model.named_parameters():
            x = torch.randn_like(p)
            if p.dim() > 1:
                x *= 1 / p[0].numel() ** 0.5
            else:
                x = 0.1 * x if name.endswith("bias") else 1 + 0.1 * x
            p.copy_(x.half())
    return model.float().eval()


def own_names(model):
    return {k: [k] for k, _ in model.named_parameters()}


def case(file, model, names, inputs, outputs, watched, buffers=None):
    """`names` maps a checkpoint's tensors to the model's, which are joined along the first axis; a function in their
    place makes the tensor from the model's dictionary."""
    first = next(iter(outputs.values()))
    d_out = torch.randn_like(first)
    first.backward(d_out)

    def joined(tensors, parts):
        return parts(tensors) if callable(parts) else torch.cat([tensors[p] for p in parts])

    parameters = dict(model.named_parameters())
    weights = {k: joined(parameters, parts).detach() for k, parts in names.items()} | (buffers or {})
    tensors = {f"weight.{k}": v.half() for k, v in weights.items()}
    tensors |= {f"in.{k}": v.detach() for k, v in inputs.items()} | {f"out.{k}": v.detach() for k, v in outputs.items()}
    tensors |= {f"d_in.{k}": v.grad for k, v in inputs.items() if v.grad is not None} | {"d_out": d_out}
    gradients = {k: p.grad for k, p in parameters.items()}
    tensors |= {f"d_weight.{k}": joined(gradients, names[k]) for k in watched}
    save_file({k: v.contiguous() for k, v in tensors.items()}, HERE / f"{file}.safetensors")
    print(file, {k: round(float(v.detach().std()), 3) for k, v in outputs.items()})
    return weights


class swapped_halves:
    """Diffusers stores (scale, shift) where the published models have (shift, scale)."""

    def __init__(self, name):
        self.name = name

    def __call__(self, tensors):
        return torch.cat(tensors[self.name].chunk(2)[::-1])


def flux_names(num_double, num_single, has_guidance):
    names = {}

    def layer(ours, *theirs):
        for kind in ("weight", "bias"):
            names[f"{ours}.{kind}"] = [f"{t}.{kind}" for t in theirs]

    layer("img_in", "x_embedder")
    layer("txt_in", "context_embedder")
    embedders = {"time_in": "timestep_embedder", "vector_in": "text_embedder"}
    for ours, theirs in (embedders | ({"guidance_in": "guidance_embedder"} if has_guidance else {})).items():
        layer(f"{ours}.in_layer", f"time_text_embed.{theirs}.linear_1")
        layer(f"{ours}.out_layer", f"time_text_embed.{theirs}.linear_2")
    for i in range(num_double):
        a, b = f"double_blocks.{i}", f"transformer_blocks.{i}"
        layer(f"{a}.img_mod.lin", f"{b}.norm1.linear")
        layer(f"{a}.txt_mod.lin", f"{b}.norm1_context.linear")
        layer(f"{a}.img_attn.qkv", *(f"{b}.attn.to_{x}" for x in "qkv"))
        layer(f"{a}.txt_attn.qkv", *(f"{b}.attn.add_{x}_proj" for x in "qkv"))
        layer(f"{a}.img_attn.proj", f"{b}.attn.to_out.0")
        layer(f"{a}.txt_attn.proj", f"{b}.attn.to_add_out")
        for x in ("query", "key"):
            names[f"{a}.img_attn.norm.{x}_norm.scale"] = [f"{b}.attn.norm_{x[0]}.weight"]
            names[f"{a}.txt_attn.norm.{x}_norm.scale"] = [f"{b}.attn.norm_added_{x[0]}.weight"]
        for ours, theirs in (("img_mlp", "ff"), ("txt_mlp", "ff_context")):
            layer(f"{a}.{ours}.0", f"{b}.{theirs}.net.0.proj")
            layer(f"{a}.{ours}.2", f"{b}.{theirs}.net.2")
    for i in range(num_single):
        a, b = f"single_blocks.{i}", f"single_transformer_blocks.{i}"
        layer(f"{a}.modulation.lin", f"{b}.norm.linear")
        layer(f"{a}.linear1", *(f"{b}.attn.to_{x}" for x in "qkv"), f"{b}.proj_mlp")
        layer(f"{a}.linear2", f"{b}.proj_out")
        for x in ("query", "key"):
            names[f"{a}.norm.{x}_norm.scale"] = [f"{b}.attn.norm_{x[0]}.weight"]
    layer("final_layer.linear", "proj_out")
    for kind in ("weight", "bias"):
        names[f"final_layer.adaLN_modulation.1.{kind}"] = swapped_halves(f"norm_out.linear.{kind}")
    return names


def pack(x):
    b, c, h, w = x.shape
    return x.view(b, c, h // 2, 2, w // 2, 2).permute(0, 2, 4, 1, 3, 5).reshape(b, h * w // 4, c * 4)


def unpack(x, h, w):
    return x.view(x.shape[0], h // 2, w // 2, -1, 2, 2).permute(0, 3, 1, 4, 2, 5).reshape(x.shape[0], -1, h, w)


def image_ids(rows, columns):
    ids = torch.zeros(rows, columns, 3)
    ids[..., 1] += torch.arange(rows)[:, None]
    ids[..., 2] += torch.arange(columns)[None]
    return ids.view(-1, 3)


def flux_inputs():
    return {"latents": torch.randn(2, 4, 6, 4).requires_grad_(), "timesteps": torch.tensor([0.93, 0.2]),
            "text": torch.randn(2, 5, 24).requires_grad_(), "vector": torch.randn(2, 12).requires_grad_()}


FLUX_SIZES = dict(in_channels=16, context_in_dim=24, hidden_size=32, mlp_ratio=4.0, num_heads=2, depth=1,
                  depth_single_blocks=2, axes_dim=[4, 6, 6], theta=10_000, qkv_bias=True)


def flux(file, has_guidance, head, axes):
    from diffusers import FluxTransformer2DModel

    model = randomize(FluxTransformer2DModel(
        patch_size=1, in_channels=16, num_layers=1, num_single_layers=2, attention_head_dim=head, num_attention_heads=2,
        joint_attention_dim=24, pooled_projection_dim=12, guidance_embeds=has_guidance, axes_dims_rope=axes))
    inputs = flux_inputs()
    if has_guidance:
        inputs["guidance"] = torch.tensor([3.5, 1.0])
    out = model(pack(inputs["latents"]), inputs["text"], inputs["vector"], inputs["timesteps"], image_ids(3, 2),
                torch.zeros(5, 3), inputs.get("guidance"), return_dict=False)[0]
    outputs = {"prediction": unpack(out, 6, 4)}
    names = flux_names(1, 2, has_guidance)
    if has_guidance:  # a mask, which diffusers' model does not take
        from library import flux_models

        own = flux_models.Flux(flux_models.FluxParams(vec_in_dim=12, guidance_embed=True, **FLUX_SIZES))
        parameters = dict(model.named_parameters())
        own.load_state_dict({k: p(parameters) if callable(p) else torch.cat([parameters[x] for x in p]) for k, p in names.items()})
        ids = image_ids(3, 2)[None].expand(2, -1, -1)
        mask = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 0]])
        with torch.no_grad():
            masked = own(pack(inputs["latents"]), ids, inputs["text"], torch.zeros(2, 5, 3), inputs["timesteps"],
                         inputs["vector"], guidance=inputs["guidance"], txt_attention_mask=mask)
        inputs["text_mask"] = mask
        outputs["masked"] = unpack(masked, 6, 4)
    case(file, model, names, inputs, outputs,
         ["img_in.weight", "time_in.in_layer.weight", "vector_in.out_layer.bias", "txt_in.weight",
          "double_blocks.0.img_mod.lin.weight", "double_blocks.0.txt_attn.qkv.weight",
          "double_blocks.0.img_attn.norm.key_norm.scale", "double_blocks.0.txt_mlp.2.bias",
          "single_blocks.0.linear1.weight", "single_blocks.1.linear2.weight", "single_blocks.1.modulation.lin.bias",
          "single_blocks.1.norm.query_norm.scale", "final_layer.adaLN_modulation.1.weight", "final_layer.linear.bias"])


def chroma():
    from library import chroma_models

    params = chroma_models.ChromaParams(guidance_embed=True, approximator_in_dim=64, approximator_depth=2,
                                        approximator_hidden_size=20, _use_compiled=False, **FLUX_SIZES)
    model = randomize(chroma_models.Chroma(params))
    inputs = flux_inputs()
    del inputs["vector"]
    inputs |= {"guidance": torch.tensor([0.0, 4.0]), "text_mask": torch.tensor([[1, 1, 0, 0, 0], [1, 1, 1, 0, 0]])}
    ids = image_ids(3, 2)[None].expand(2, -1, -1)
    out = model(pack(inputs["latents"]), ids, inputs["text"], torch.zeros(2, 5, 3), inputs["timesteps"], None,
                guidance=inputs["guidance"], txt_attention_mask=inputs["text_mask"])
    case("chroma", model, own_names(model), inputs, {"prediction": unpack(out, 6, 4)},
         ["img_in.weight", "txt_in.weight", "double_blocks.0.img_attn.qkv.weight", "double_blocks.0.txt_mlp.0.weight",
          "single_blocks.0.linear1.weight", "single_blocks.1.linear2.weight", "single_blocks.1.norm.key_norm.scale",
          "final_layer.linear.weight"])


def sd3_names(num_blocks, num_self, has_qk_norm):
    names = {"x_embedder.proj.weight": ["pos_embed.proj.weight"], "x_embedder.proj.bias": ["pos_embed.proj.bias"]}

    def layer(ours, *theirs):
        for kind in ("weight", "bias"):
            names[f"{ours}.{kind}"] = [f"{t}.{kind}" for t in theirs]

    for ours, theirs in (("t_embedder", "timestep_embedder"), ("y_embedder", "text_embedder")):
        layer(f"{ours}.mlp.0", f"time_text_embed.{theirs}.linear_1")
        layer(f"{ours}.mlp.2", f"time_text_embed.{theirs}.linear_2")
    layer("context_embedder", "context_embedder")
    for i in range(num_blocks):
        a, b, is_last = f"joint_blocks.{i}", f"transformer_blocks.{i}", i + 1 == num_blocks
        layer(f"{a}.x_block.attn.qkv", *(f"{b}.attn.to_{x}" for x in "qkv"))
        layer(f"{a}.x_block.attn.proj", f"{b}.attn.to_out.0")
        layer(f"{a}.context_block.attn.qkv", *(f"{b}.attn.add_{x}_proj" for x in "qkv"))
        layer(f"{a}.x_block.adaLN_modulation.1", f"{b}.norm1.linear")
        layer(f"{a}.x_block.mlp.fc1", f"{b}.ff.net.0.proj")
        layer(f"{a}.x_block.mlp.fc2", f"{b}.ff.net.2")
        if is_last:
            for kind in ("weight", "bias"):
                names[f"{a}.context_block.adaLN_modulation.1.{kind}"] = swapped_halves(f"{b}.norm1_context.linear.{kind}")
        else:
            layer(f"{a}.context_block.adaLN_modulation.1", f"{b}.norm1_context.linear")
            layer(f"{a}.context_block.attn.proj", f"{b}.attn.to_add_out")
            layer(f"{a}.context_block.mlp.fc1", f"{b}.ff_context.net.0.proj")
            layer(f"{a}.context_block.mlp.fc2", f"{b}.ff_context.net.2")
        if i < num_self:
            layer(f"{a}.x_block.attn2.qkv", *(f"{b}.attn2.to_{x}" for x in "qkv"))
            layer(f"{a}.x_block.attn2.proj", f"{b}.attn2.to_out.0")
        for x in "qk" if has_qk_norm else "":
            names[f"{a}.x_block.attn.ln_{x}.weight"] = [f"{b}.attn.norm_{x}.weight"]
            names[f"{a}.context_block.attn.ln_{x}.weight"] = [f"{b}.attn.norm_added_{x}.weight"]
            if i < num_self:
                names[f"{a}.x_block.attn2.ln_{x}.weight"] = [f"{b}.attn2.norm_{x}.weight"]
    layer("final_layer.linear", "proj_out")
    for kind in ("weight", "bias"):
        names[f"final_layer.adaLN_modulation.1.{kind}"] = swapped_halves(f"norm_out.linear.{kind}")
    return names


def sd3(file, num_self, has_qk_norm):
    """Two blocks; the reference's own model, whose heads are 64 wide, stays out of this."""
    from diffusers import SD3Transformer2DModel

    model = randomize(SD3Transformer2DModel(
        sample_size=8, patch_size=2, in_channels=4, num_layers=2, attention_head_dim=8, num_attention_heads=2,
        joint_attention_dim=24, caption_projection_dim=16, pooled_projection_dim=12, out_channels=4,
        pos_embed_max_size=6, dual_attention_layers=tuple(range(num_self)), qk_norm="rms_norm" if has_qk_norm else None))
    positions = torch.randn(1, 36, 16).half()
    model.pos_embed.pos_embed.copy_(positions)
    inputs = {"latents": torch.randn(2, 4, 6, 4).requires_grad_(), "timesteps": torch.tensor([930.0, 200.0]),
              "context": torch.randn(2, 5, 24).requires_grad_(), "vector": torch.randn(2, 12).requires_grad_()}
    out = model(inputs["latents"], inputs["context"], inputs["vector"], inputs["timesteps"], return_dict=False)[0]
    watched = ["x_embedder.proj.weight", "t_embedder.mlp.0.weight", "y_embedder.mlp.2.bias", "context_embedder.weight",
               "joint_blocks.0.context_block.attn.qkv.weight", "joint_blocks.0.context_block.mlp.fc2.weight",
               "joint_blocks.0.x_block.adaLN_modulation.1.weight", "joint_blocks.1.context_block.adaLN_modulation.1.weight",
               "joint_blocks.1.x_block.attn.proj.weight", "final_layer.adaLN_modulation.1.bias"]
    if num_self:
        watched += ["joint_blocks.0.x_block.attn2.qkv.weight", "joint_blocks.0.x_block.attn2.ln_k.weight"]
    case(file, model, sd3_names(2, num_self, has_qk_norm), inputs, {"prediction": out}, watched, {"pos_embed": positions})


def sd3_heads():
    """A block with attn2 in the reference, and its scaled position embeddings: 64 features in a head."""
    from library import sd3_models

    block = randomize(sd3_models.MMDiTBlock(128, 2, attn_mode="torch", qkv_bias=True, pre_only=False, qk_norm="rms",
                                            x_block_self_attn=True))
    heads = torch.randn(2, 3, 2, 64)  # [B, N, heads, d] as queries, keys and values at once
    attended = sd3_models.attention(*[heads.flatten(2)] * 3, block.x_block.attn2.num_heads, mode="torch")
    tables = {f"positions_{size}": torch.from_numpy(
        sd3_models.get_scaled_2d_sincos_pos_embed(8, int(size * 1.5), sample_size=size)).float() for size in (4, 7)}
    save_file({"heads": heads, "attended": attended} | tables, HERE / "sd3_reference.safetensors")


def lumina_names(num_refiners, num_layers):
    """Without norm_final, which is in the checkpoint, and without use."""
    names = {}

    def layer(ours, *theirs, kinds=("weight", "bias")):
        for kind in kinds:
            names[f"{ours}.{kind}"] = [f"{t}.{kind}" for t in theirs]

    def plain(ours, *theirs):
        layer(ours, *theirs, kinds=("weight",))

    layer("x_embedder", "x_embedder")
    layer("t_embedder.mlp.0", "time_caption_embed.timestep_embedder.linear_1")
    layer("t_embedder.mlp.2", "time_caption_embed.timestep_embedder.linear_2")
    plain("cap_embedder.0", "time_caption_embed.caption_embedder.0")
    layer("cap_embedder.1", "time_caption_embed.caption_embedder.1")
    for group, count in (("context_refiner", num_refiners), ("noise_refiner", num_refiners), ("layers", num_layers)):
        for i in range(count):
            a = f"{group}.{i}"
            plain(f"{a}.attention.qkv", *(f"{a}.attn.to_{x}" for x in "qkv"))
            plain(f"{a}.attention.out", f"{a}.attn.to_out.0")
            for x in "qk":
                plain(f"{a}.attention.{x}_norm", f"{a}.attn.norm_{x}")
            for ours, theirs in (("w1", "linear_1"), ("w2", "linear_2"), ("w3", "linear_3")):
                plain(f"{a}.feed_forward.{ours}", f"{a}.feed_forward.{theirs}")
            first = f"{a}.norm1" if group == "context_refiner" else f"{a}.norm1.norm"
            for ours, theirs in (("attention_norm1", first), ("ffn_norm1", f"{a}.ffn_norm1"),
                                 ("attention_norm2", f"{a}.norm2"), ("ffn_norm2", f"{a}.ffn_norm2")):
                plain(f"{a}.{ours}", theirs)
            if group != "context_refiner":
                layer(f"{a}.adaLN_modulation.1", f"{a}.norm1.linear")
    layer("final_layer.adaLN_modulation.1", "norm_out.linear_1")
    layer("final_layer.linear", "norm_out.linear_2")
    return names


def lumina():
    from diffusers import Lumina2Transformer2DModel

    model = randomize(Lumina2Transformer2DModel(
        sample_size=8, patch_size=2, in_channels=4, hidden_size=24, num_layers=2, num_refiner_layers=1,
        num_attention_heads=4, num_kv_heads=2, multiple_of=8, norm_eps=1e-5, axes_dim_rope=(2, 2, 2),
        axes_lens=(16, 16, 16), cap_feat_dim=20))
    inputs = {"latents": torch.randn(2, 4, 6, 4).requires_grad_(), "timesteps": torch.tensor([0.07, 0.8]),
              "caption": torch.randn(2, 5, 20).requires_grad_(),
              "caption_mask": torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 0]])}
    out = model(inputs["latents"], inputs["timesteps"], inputs["caption"], inputs["caption_mask"].bool(),
                return_dict=False)[0]
    case("lumina", model, lumina_names(1, 2), inputs, {"prediction": out},
         ["x_embedder.weight", "t_embedder.mlp.2.weight", "cap_embedder.0.weight", "cap_embedder.1.weight",
          "context_refiner.0.attention.qkv.weight", "noise_refiner.0.adaLN_modulation.1.weight",
          "layers.0.attention.k_norm.weight", "layers.1.feed_forward.w2.weight", "layers.1.ffn_norm2.weight",
          "final_layer.adaLN_modulation.1.weight", "final_layer.linear.weight"])


CASES = {"flux_dev": lambda: flux("flux_dev", True, 16, (4, 6, 6)),
         "flux_schnell": lambda: flux("flux_schnell", False, 8, (4, 2, 2)), "chroma": chroma,
         "sd3_medium": lambda: sd3("sd3_medium", 0, False), "sd35_medium": lambda: sd3("sd35_medium", 1, True),
         "sd3_reference": sd3_heads, "lumina": lumina}
if __name__ == "__main__":
    for number, (name, make) in enumerate(CASES.items()):
        if len(sys.argv) < 3 or name in sys.argv[2:]:
            torch.manual_seed(100 + number)
            make()
