"""Writes optimizers.json and lr_schedules.json.

Parameters after ten steps of the optimizers of torch, transformers, lion_pytorch and prodigyopt; a run of torch's
gradient scaler; clipped gradients; factors of the learning-rate schedules of transformers and diffusers.
"""

import json
import pathlib

import diffusers.optimization
import lion_pytorch
import prodigyopt
import torch
import transformers.optimization as T

HERE = pathlib.Path(__file__).parent
STEPS = 10
SHAPES = [[4, 6], [5], [3, 2, 3, 3]]  # the last one is a group of its own


def tensor(x):
    # The shortest decimals that read back as the same float32.
    values = [float(str(v)) for v in x.detach().flatten().float().numpy()]
    return {"shape": list(x.shape), "dtype": str(x.dtype).removeprefix("torch."), "data": values}


def start(dtype=torch.float32):
    generator = torch.Generator().manual_seed(1)
    params = [torch.randn(s, generator=generator).to(dtype) for s in SHAPES]
    params[2] *= 0  # as a fresh lora_up
    return params


def gradients(dtype=torch.float32):
    generator = torch.Generator().manual_seed(2)
    steps = []
    for step in range(STEPS):
        grads = [(torch.randn(s, generator=generator) * 0.3 + 0.5).to(dtype) for s in SHAPES]
        grads[1] = grads[1] if step >= 2 else None
        grads[2] = grads[2] if step not in (3, 4) else None
        steps.append(grads)
    return steps


def lr_factor(step):
    return 1.0 - step / 20


def run(make, dtype=torch.float32, schedule=True, lr=(1e-2, 5e-3)):
    params = [torch.nn.Parameter(p) for p in start(dtype)]
    optimizer = make([{"params": params[:2], "lr": lr[0]}, {"params": params[2:], "lr": lr[1]}])
    base, lrs = [g["lr"] for g in optimizer.param_groups], []
    for step, grads in enumerate(gradients(dtype)):
        for param, grad in zip(params, grads):
            param.grad = None if grad is None else grad.clone()
        for group, lr in zip(optimizer.param_groups, base):
            if schedule:
                group["lr"] = lr * lr_factor(step)
        optimizer.step()
        if isinstance(optimizer, prodigyopt.Prodigy):
            lrs.append(optimizer.param_groups[0]["d"])
        if isinstance(optimizer, T.Adafactor):
            lrs.append(float(optimizer._get_lr(optimizer.param_groups[0], optimizer.state[params[0]])))
    return {"params": [tensor(p) for p in params], "lrs": lrs}


def adafactor(groups, **options):
    if options.get("relative_step", True):
        for group in groups:
            del group["lr"]
    return T.Adafactor(groups, lr=None, **options)


def scaler():
    """A loss scale of 1024 that doubles after two good steps; the third step overflows."""
    param = torch.nn.Parameter(start()[0])
    optimizer = torch.optim.SGD([param], lr=0.1)
    grad_scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=2)
    scales = []
    for step in range(5):
        optimizer.zero_grad()
        loss = (param * gradients()[step][0]).sum() * (float("inf") if step == 2 else 1.0)
        grad_scaler.scale(loss).backward()
        grad_scaler.step(optimizer)
        grad_scaler.update()
        scales.append(grad_scaler.get_scale())
    return {"param": tensor(param), "scales": scales}


def optimizers():
    adamw, sgd, lion = torch.optim.AdamW, torch.optim.SGD, lion_pytorch.Lion
    sets = {"relative_step": False}
    out = {
        "start": [tensor(p) for p in start()],
        "gradients": [[None if g is None else tensor(g) for g in step] for step in gradients()],
        "runs": [
            {"type": "AdamW", "args": [], **run(adamw)},
            {"type": "AdamW", "args": ["weight_decay=0.05", "betas=.8,.95", "eps=1e-6"],
             **run(lambda g: adamw(g, weight_decay=0.05, betas=(0.8, 0.95), eps=1e-6))},
            {"type": "AdamW", "args": ["amsgrad=True", "maximize=True", "weight_decay=0"],
             **run(lambda g: adamw(g, amsgrad=True, maximize=True, weight_decay=0))},
            {"type": "adamw", "args": [], "dtype": "bfloat16", **run(adamw, torch.bfloat16)},
            {"type": "SGDNesterov", "args": [], **run(lambda g: sgd(g, nesterov=True, momentum=0.9))},
            {"type": "SGDNesterov", "args": ["momentum=0.7", "weight_decay=1e-2"],
             **run(lambda g: sgd(g, nesterov=True, momentum=0.7, weight_decay=1e-2))},
            {"type": "Lion", "args": [], **run(lion)},
            {"type": "Lion", "args": ["weight_decay=0.1", "betas=(0.95, 0.98)"],
             **run(lambda g: lion(g, weight_decay=0.1, betas=(0.95, 0.98)))},
            {"type": "Lion", "args": ["weight_decay=0.001", "decoupled_weight_decay=True"],
             **run(lambda g: lion(g, lr=1e-2, weight_decay=0.001, decoupled_weight_decay=True))},
            {"type": "Adafactor", "args": [], **run(adafactor, schedule=False)},
            {"type": "Adafactor", "args": ["warmup_init=True", "weight_decay=0.01", "beta1=0.9"],
             **run(lambda g: adafactor(g, warmup_init=True, weight_decay=0.01, beta1=0.9), schedule=False)},
            {"type": "Adafactor", "args": ["relative_step=False", "scale_parameter=False"],
             **run(lambda g: adafactor(g, scale_parameter=False, **sets))},
            {"type": "Adafactor", "args": ["relative_step=False", "weight_decay=0.02", "clip_threshold=0.7"],
             **run(lambda g: adafactor(g, weight_decay=0.02, clip_threshold=0.7, **sets))},
            {"type": "Adafactor", "args": ["relative_step=False", "scale_parameter=False", "weight_decay=0.1"],
             "dtype": "bfloat16",
             **run(lambda g: adafactor(g, scale_parameter=False, weight_decay=0.1, **sets), torch.bfloat16)},
            {"type": "Prodigy", "args": [], "lr": 1.0, **run(prodigyopt.Prodigy, lr=(1.0, 1.0))},
            {"type": "Prodigy", "lr": 0.5,
             "args": ["weight_decay=0.01", "use_bias_correction=True", "safeguard_warmup=True", "d_coef=2", "slice_p=3"],
             **run(lambda g: prodigyopt.Prodigy(g, weight_decay=0.01, use_bias_correction=True, safeguard_warmup=True,
                                                d_coef=2, slice_p=3), lr=(0.5, 0.5))},
            {"type": "Prodigy", "args": ["decouple=False", "weight_decay=0.1", "betas=0,0.99", "growth_rate=1.5"],
             "lr": 1.0,
             **run(lambda g: prodigyopt.Prodigy(g, decouple=False, weight_decay=0.1, betas=(0, 0.99), growth_rate=1.5),
                   lr=(1.0, 1.0))},
        ],
        "clipped": [],
    }
    for max_norm in (0.5, 100.0):
        params = [torch.nn.Parameter(p) for p in start()]
        for param, grad in zip(params, gradients()[3]):
            param.grad = grad
        norm = torch.nn.utils.clip_grad_norm_(params, max_norm)
        out["clipped"].append({
            "max_norm": max_norm, "norm": tensor(norm),
            "gradients": [None if p.grad is None else tensor(p.grad) for p in params],
        })
    out["scaler"] = scaler()
    (HERE / "optimizers.json").write_text(json.dumps(out) + "\n")


def lr_schedules():
    total, warmup, decay = 20, 4, 6
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2e-4)
    common = dict(num_warmup_steps=warmup, num_training_steps=total)
    stable = dict(num_warmup_steps=warmup, num_decay_steps=decay, num_stable_steps=total - warmup - decay)
    rows = [
        ({"name": "constant", "warmup": 0}, T.get_constant_schedule(optimizer)),
        ({"name": "constant_with_warmup"}, T.get_constant_schedule_with_warmup(optimizer, warmup)),
        ({"name": "linear"}, T.get_linear_schedule_with_warmup(optimizer, **common)),
        ({"name": "linear", "warmup": 0},
         T.get_linear_schedule_with_warmup(optimizer, num_warmup_steps=0, num_training_steps=total)),
        ({"name": "cosine"}, T.get_cosine_schedule_with_warmup(optimizer, **common)),
        ({"name": "cosine", "args": ["num_cycles=1.5"]},
         T.get_cosine_schedule_with_warmup(optimizer, num_cycles=1.5, **common)),
        ({"name": "cosine_with_restarts", "num_cycles": 3},
         T.get_cosine_with_hard_restarts_schedule_with_warmup(optimizer, num_cycles=3, **common)),
        ({"name": "polynomial", "power": 2.0},
         T.get_polynomial_decay_schedule_with_warmup(optimizer, power=2.0, **common)),
        ({"name": "polynomial", "args": ["lr_end=1e-5"]},
         T.get_polynomial_decay_schedule_with_warmup(optimizer, lr_end=1e-5, **common)),
        ({"name": "inverse_sqrt"}, T.get_inverse_sqrt_schedule(optimizer, warmup)),
        ({"name": "inverse_sqrt", "timescale": 7}, T.get_inverse_sqrt_schedule(optimizer, warmup, timescale=7)),
        ({"name": "inverse_sqrt", "warmup": 0}, T.get_inverse_sqrt_schedule(optimizer, 0)),
        ({"name": "cosine_with_min_lr", "min_lr_ratio": 0.1},
         T.get_cosine_with_min_lr_schedule_with_warmup(optimizer, min_lr_rate=0.1, num_cycles=0.5, **common)),
        ({"name": "cosine_with_min_lr", "args": ["min_lr=1e-5"], "num_cycles": 2},
         T.get_cosine_with_min_lr_schedule_with_warmup(optimizer, min_lr=1e-5, num_cycles=1.0, **common)),
        ({"name": "warmup_stable_decay", "decay": decay}, T.get_wsd_schedule(optimizer, num_cycles=0.5, **stable)),
        ({"name": "warmup_stable_decay", "decay": decay, "min_lr_ratio": 0.2,
          "args": ["warmup_type='cosine'", 'decay_type="1-sqrt"']},
         T.get_wsd_schedule(optimizer, warmup_type="cosine", decay_type="1-sqrt", min_lr_ratio=0.2, **stable)),
        ({"name": "warmup_stable_decay", "decay": decay, "args": ["warmup_type='1-sqrt'", "decay_type='linear'"]},
         T.get_wsd_schedule(optimizer, warmup_type="1-sqrt", decay_type="linear", **stable)),
        ({"name": "piecewise_constant", "warmup": 0, "args": ["step_rules='1:5,0.1:12,0.005'"]},
         diffusers.optimization.get_piecewise_constant_schedule(optimizer, "1:5,0.1:12,0.005")),
    ]
    out = {"num_steps": total, "warmup": warmup, "learning_rate": 2e-4, "rows": []}
    for config, schedule in rows:
        factors = [float(schedule.lr_lambdas[0](step)) for step in range(total + 4)]
        out["rows"].append({**config, "factors": factors})
    (HERE / "lr_schedules.json").write_text(json.dumps(out) + "\n")


optimizers()
lr_schedules()
