"""Makes the files that tests/unit/models reads: small models with random weights, their inputs, outputs and gradients.

Run with torch 2.11, diffusers 0.32.1, transformers 4.54.1 and safetensors. Every file holds
  weight.NAME        fp16, computed with in fp32
  in.NAME, out.NAME  inputs and outputs
  d_out              the gradient that arrives at the output
  d_in.NAME          the gradients that leave at an input
  d_weight.NAME      and at some of the weights
"""
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel

HERE = Path(__file__).parent


def randomize(model):
    """Weights that keep activations near 1, exactly representable in fp16; biases and norms that do something."""
    with torch.no_grad():
        for name, p in model.named_parameters():
            x = torch.randn_like(p)
            if p.dim() > 1:
                x *= 0.5 if "embedding.weight" in name else 1 / p[0].numel() ** 0.5
            else:
                x = 1 + 0.1 * x if name.endswith("weight") else 0.1 * x
            p.copy_(x.half())
    return model.float().eval()


def case(name, model, inputs, outputs, watched):
    """Saves the case; `outputs` maps names to tensors, the first of which gets a gradient."""
    first = next(iter(outputs.values()))
    d_out = torch.randn_like(first)
    first.backward(d_out)
    tensors = {f"weight.{k}": v.half() for k, v in model.state_dict().items() if "position_ids" not in k}
    tensors |= {f"in.{k}": v.detach() for k, v in inputs.items()} | {f"out.{k}": v.detach() for k, v in outputs.items()}
    tensors |= {f"d_in.{k}": v.grad for k, v in inputs.items() if v.grad is not None} | {"d_out": d_out}
    parameters = dict(model.named_parameters())
    tensors |= {f"d_weight.{k}": parameters[k].grad for k in watched}
    save_file({k: v.contiguous() for k, v in tensors.items()}, HERE / f"{name}.safetensors")
    print(name, {k: round(float(v.detach().std()), 3) for k, v in outputs.items()})


def unet(name, height, width, watched, with_vector=False, **config):
    model = randomize(UNet2DConditionModel(
        block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4, cross_attention_dim=24, **config))
    inputs = {"sample": torch.randn(2, 4, height, width).requires_grad_(), "timesteps": torch.tensor([3, 987]),
              "context": torch.randn(2, 5, 24).requires_grad_()}
    added = None
    if with_vector:  # pooled text beside six sizes as sinusoids; our model takes the vector that they make
        added = {"text_embeds": torch.randn(2, 12), "time_ids": torch.tensor([[64., 48, 0, 4, 32, 32], [32, 32, 1, 0, 16, 24]])}
        seen = []
        model.add_embedding.register_forward_pre_hook(lambda module, args: seen.append(args[0].detach()))
    out = model(inputs["sample"], inputs["timesteps"], inputs["context"], added_cond_kwargs=added).sample
    if with_vector:
        inputs["vector"] = seen[0]
    case(name, model, inputs, {"prediction": out}, watched)


def unets():
    attention = dict(down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"))
    watched = ["conv_in.weight", "time_embedding.linear_1.weight", "down_blocks.0.resnets.0.time_emb_proj.weight",
               "down_blocks.0.downsamplers.0.conv.weight", "mid_block.attentions.0.norm.weight"]
    first = "down_blocks.0.attentions.0."
    unet("unet_sd1", 8, 12, attention_head_dim=4, **attention,
         watched=watched + [first + "proj_in.weight", first + "transformer_blocks.0.attn2.to_k.weight",
                            first + "transformer_blocks.0.ff.net.0.proj.bias", "up_blocks.0.resnets.1.conv_shortcut.weight",
                            "up_blocks.0.upsamplers.0.conv.weight", "conv_norm_out.bias", "conv_out.weight"])
    # 2 and 4 heads; sides that do not halve evenly.
    unet("unet_sd2", 7, 9, attention_head_dim=(2, 4), use_linear_projection=True, **attention,
         watched=watched + [first + "proj_out.weight", first + "transformer_blocks.0.attn1.to_out.0.weight"])
    unet("unet_sdxl", 8, 8, attention_head_dim=(2, 4), use_linear_projection=True, with_vector=True,
         down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
         transformer_layers_per_block=(1, 2), addition_embed_type="text_time", addition_time_embed_dim=8,
         projection_class_embeddings_input_dim=12 + 6 * 8,
         watched=["conv_in.weight", "add_embedding.linear_1.weight", "mid_block.attentions.0.transformer_blocks.1.norm2.weight",
                  "up_blocks.0.attentions.1.transformer_blocks.1.attn2.to_v.weight"])


def vae(name, latent_channels, watched, **config):
    def make():
        return randomize(AutoencoderKL(block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4,
                                       down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
                                       latent_channels=latent_channels, **config))
    model = make()
    inputs = {"images": torch.randn(2, 3, 16, 12).clamp(-1, 1), "latents": torch.randn(2, latent_channels, 8, 6).requires_grad_()}
    with torch.no_grad():
        distribution = model.encode(inputs["images"]).latent_dist
    decoded = model.decode(inputs["latents"]).sample
    case(name, model, inputs, {"decoded": decoded, "mean": distribution.mean, "log_variance": distribution.logvar}, watched)


def vaes():
    vae("vae", 4, ["post_quant_conv.weight", "decoder.mid_block.attentions.0.to_q.weight",
                   "decoder.up_blocks.1.resnets.0.conv_shortcut.weight", "decoder.conv_norm_out.weight"])
    vae("vae_16_channels", 16, ["decoder.conv_in.weight"], use_quant_conv=False, use_post_quant_conv=False)


def clips():
    for name, activation in {"clip_quick_gelu": "quick_gelu", "clip_gelu": "gelu"}.items():
        config = CLIPTextConfig(vocab_size=50, hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4,
                                max_position_embeddings=11, hidden_act=activation, eos_token_id=49, bos_token_id=48, pad_token_id=49)
        model = randomize(CLIPTextModel(config))
        ids = torch.randint(0, 48, (2, 9))
        out = model(ids, output_hidden_states=True)
        outputs = {"last_hidden_state": out.last_hidden_state} | {f"hidden_{i}": h for i, h in enumerate(out.hidden_states)}
        layer = "text_model.encoder.layers."
        case(name, model, {"ids": ids}, outputs,
             ["text_model.embeddings.token_embedding.weight", "text_model.embeddings.position_embedding.weight",
              layer + "0.self_attn.q_proj.weight", layer + "1.self_attn.k_proj.weight", layer + "2.mlp.fc1.bias",
              layer + "0.layer_norm1.weight", "text_model.final_layer_norm.weight"])


if __name__ == "__main__":
    torch.manual_seed(20)
    unets()
    vaes()
    clips()
