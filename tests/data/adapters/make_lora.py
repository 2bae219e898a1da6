"""Makes lora.safetensors for tests/unit/adapters: low-rank layers built with torch.nn, in the order of arXiv:2106.09685's
usual implementation (down: kaiming_uniform(a=sqrt(5)), up: zeros), their outputs, gradients and random draws.

Run with torch 2.11 and safetensors. For each layer L (linear, conv1x1, conv3x3):
  L.weight, L.bias, L.in, L.d_out     the frozen layer, its input and the gradient of its output
  L.down0                             the first down matrix after torch.manual_seed(7), all layers in this order
  L.down, L.up                        the matrices of the other cases
  L.CASE.out, L.CASE.d_in, .d_down, .d_up
"""
import math
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch.nn import functional as F

RANK, ALPHA, MULTIPLIER = 4, 2.0, 0.75
LAYERS = {"linear": (12, 20, None), "conv1x1": (8, 16, (1, 1, 0)), "conv3x3": (8, 12, (3, 2, 1))}
# name: neuron, rank and module dropout, seed. Of the two module cases one drops the module.
CASES = {"plain": (None, None, None, 0), "neuron": (0.3, None, None, 11), "rank": (None, 0.4, None, 12),
         "module_kept": (None, None, 0.5, 1), "module_dropped": (None, None, 0.5, 3), "all": (0.2, 0.3, 0.1, 5)}


def layer_of(inner, outer, conv, bias):
    return torch.nn.Conv2d(inner, outer, *conv, bias=bias) if conv else torch.nn.Linear(inner, outer, bias=bias)


def low_rank(inner, outer, conv):
    """Fresh down and up; both constructors draw, then down is drawn again."""
    down = layer_of(inner, RANK, conv, False)
    up = layer_of(RANK, outer, (1, 1, 0) if conv else None, False)
    torch.nn.init.kaiming_uniform_(down.weight, a=math.sqrt(5))
    torch.nn.init.zeros_(up.weight)
    return down, up


def forward(layer, down, up, x, neuron, rank, module):
    base = layer(x)
    if module is not None and torch.rand(1) < module:
        return base
    scale = ALPHA / RANK
    hidden = down(x)
    if neuron is not None:
        hidden = F.dropout(hidden, neuron)
    if rank is not None:
        mask = torch.rand(hidden.shape[0], RANK) > rank
        hidden = hidden * (mask[:, None] if hidden.dim() == 3 else mask[:, :, None, None] if hidden.dim() == 4 else mask)
        scale = scale / (1 - rank)
    return base + up(hidden) * (MULTIPLIER * scale)


tensors = {}
torch.manual_seed(7)
adapters = {name: low_rank(*shape) for name, shape in LAYERS.items()}
for name, (down, _) in adapters.items():
    tensors[f"{name}.down0"] = down.weight.detach().clone()
tensors["next_draw"] = torch.rand(3)

torch.manual_seed(8)
for name, (inner, outer, conv) in LAYERS.items():
    layer, (down, up) = layer_of(inner, outer, conv, True).requires_grad_(False), adapters[name]
    torch.nn.init.normal_(up.weight, std=0.5)
    x = torch.randn(2, inner, 6, 6) if conv else torch.randn(2, 5, inner)
    d_out = torch.randn_like(layer(x))
    tensors |= {f"{name}.{k}": v.detach() for k, v in dict(weight=layer.weight, bias=layer.bias, down=down.weight, up=up.weight, d_out=d_out).items()}
    tensors[f"{name}.in"] = x
    for case, (neuron, rank, module, seed) in CASES.items():
        x = x.detach().requires_grad_()
        for p in (down.weight, up.weight):
            p.grad = torch.zeros_like(p)
        torch.manual_seed(seed)
        out = forward(layer, down, up, x, neuron, rank, module)
        out.backward(d_out)
        for key, value in dict(out=out, d_in=x.grad, d_down=down.weight.grad, d_up=up.weight.grad).items():
            tensors[f"{name}.{case}.{key}"] = value.detach().clone()
        print(name, case, float((out - layer(x)).norm()))

# What the layers' weights are once the LoRA is merged into them.
for name, (down, up) in adapters.items():
    d, u = down.weight.detach(), up.weight.detach()
    change = F.conv2d(d.permute(1, 0, 2, 3), u).permute(1, 0, 2, 3) if d.dim() == 4 else u @ d
    tensors[f"{name}.merged"] = tensors[f"{name}.weight"] + MULTIPLIER * change * (ALPHA / RANK)
    tensors[f"{name}.change"] = change * (ALPHA / RANK)
save_file({k: v.contiguous() for k, v in tensors.items()}, Path(__file__).parent / "lora.safetensors")
