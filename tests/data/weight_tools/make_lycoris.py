#!/usr/bin/env python3
"""Writes lycoris.json: what LyCORIS merges into small layers, with its own modules.

    pip install torch lycoris-lora==4.1.3
    make_lycoris.py lycoris.json
"""

import json
import sys

import torch
from lycoris.modules import LoConModule, LohaModule, LokrModule

LINEAR, CONV = (8, 6), (4, 6, 3, 3)
# name: (class, shape, strength, options)
CASES = {
    "loha": (LohaModule, LINEAR, 0.5, {}),
    "loha_conv": (LohaModule, CONV, 1, {}),
    "loha_tucker": (LohaModule, CONV, -0.5, {"use_tucker": True}),
    "loha_dora": (LohaModule, LINEAR, 1, {"weight_decompose": True}),
    "lokr": (LokrModule, LINEAR, 0.5, {"factor": 2}),
    "lokr_both": (LokrModule, (16, 16), 1, {"factor": 4, "decompose_both": True, "lora_dim": 1}),
    "lokr_full": (LokrModule, LINEAR, 1, {"factor": 2, "full_matrix": True}),
    "lokr_conv": (LokrModule, CONV, 1, {"factor": 2, "lora_dim": 1}),
    "lokr_tucker": (LokrModule, CONV, 0.5, {"factor": 2, "lora_dim": 1, "use_tucker": True}),
    "lokr_dora": (LokrModule, LINEAR, 1, {"factor": 2, "weight_decompose": True}),
    "locon_tucker": (LoConModule, CONV, 0.5, {"use_tucker": True}),
    "locon_dora": (LoConModule, LINEAR, 1, {"weight_decompose": True}),
    "locon_dora_in": (LoConModule, LINEAR, 1, {"weight_decompose": True, "wd_on_out": False}),
    "locon_dora_conv": (LoConModule, CONV, 1, {"weight_decompose": True}),
}


def plain(tensor):
    return {"shape": list(tensor.shape), "values": [float(f"{v:.7g}") for v in tensor.detach().double().flatten().tolist()]}


def effective_weight(module, layer):
    """The weight that the module computes with in training: its answer to unit inputs. (get_merged_weight() of LoHa has the
    scale twice.)"""
    module.apply_to()
    if layer.weight.dim() == 2:
        return layer(torch.eye(layer.weight.shape[1])).T.contiguous()
    impulses = torch.zeros(layer.weight.shape[1], layer.weight.shape[1], 3, 3)
    impulses[:, :, 1, 1] = torch.eye(layer.weight.shape[1])
    return layer(impulses).transpose(0, 1).flip(2, 3).contiguous()


def record(module_class, shape, strength, options):
    layer = torch.nn.Linear(shape[1], shape[0], bias=False) if len(shape) == 2 else torch.nn.Conv2d(
        shape[1], shape[0], 3, padding=1, bias=False)
    torch.nn.init.normal_(layer.weight)
    module = module_class("m", layer, strength, **({"lora_dim": 2, "alpha": 1} | options))
    for name, parameter in module.named_parameters():
        if name != "scalar" and not name.startswith("org_module"):
            torch.nn.init.normal_(parameter)
            if name == "dora_scale":
                parameter.data.abs_().add_(0.5)
    return {"strength": strength, "weight": plain(layer.weight),
            "parts": {name: plain(part.float()) for name, part in module.custom_state_dict().items()},
            "merged": plain(effective_weight(module, layer))}


def main():
    torch.manual_seed(0)
    with open(sys.argv[1], "w") as file:
        json.dump({name: record(*case) for name, case in CASES.items()}, file, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main()
