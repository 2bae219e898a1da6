"""Writes flow.json: timesteps, noisy latents, losses and sampler runs of flow matching, computed by sd-scripts (a checkout
of 48d368f, named by the first argument) and diffusers 0.32.1."""

import argparse
import json
import pathlib
import sys
import types

import torch
from diffusers import FlowMatchEulerDiscreteScheduler

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, sys.argv[1])
from library import flux_train_utils, lumina_train_util, sd3_train_utils, train_util  # noqa: E402

DEFAULTS = dict(timestep_sampling="sigma", sigmoid_scale=1.0, discrete_flow_shift=3.0, weighting_scheme="uniform",
                logit_mean=0.0, logit_std=1.0, mode_scale=1.29, ip_noise_gamma=None, ip_noise_gamma_random_strength=False,
                model_prediction_type="raw", training_shift=1.0, min_timestep=None, max_timestep=None, loss_type="l2",
                huber_schedule="constant", huber_c=0.1, huber_scale=1.0)


def tensor(x):
    values = x.detach().flatten()
    if values.is_floating_point():  # the shortest decimals that read back as the same float32
        values = [float(str(v)) for v in values.float().numpy()]
    else:
        values = values.tolist()
    return {"shape": list(x.shape), "dtype": str(x.dtype).removeprefix("torch."), "data": values}


def latents(height=4, width=6):
    return torch.randn(3, 2, height, width, generator=torch.Generator().manual_seed(7)) * 0.9


def draw(draws, dtype=torch.float32, height=4, width=6, **options):
    args = argparse.Namespace(**DEFAULTS | options)
    scheduler = sd3_train_utils.FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, shift=args.discrete_flow_shift)
    x = latents(height, width)
    torch.manual_seed(11)
    noise = torch.randn_like(x)
    if draws is sd3_train_utils:
        noisy, timesteps, sigmas = draws.get_noisy_model_input_and_timesteps(args, x, noise, "cpu", dtype)
    else:
        noisy, timesteps, sigmas = draws.get_noisy_model_input_and_timesteps(args, scheduler, x, noise, "cpu", dtype)
    case = {"noisy": tensor(noisy), "timesteps": tensor(timesteps), "sigmas": tensor(sigmas.flatten())}
    case["options"] = options | ({"dtype": "bf16"} if dtype == torch.bfloat16 else {})
    return case | {"height": height, "width": width}


def draws():
    flux, lumina, sd3 = flux_train_utils, lumina_train_util, sd3_train_utils
    cases = {}
    for name, options in {
        "uniform": {}, "sigmoid": dict(sigmoid_scale=1.7), "shift": dict(sigmoid_scale=0.8, discrete_flow_shift=3.1582),
        "flux_shift": dict(height=6, width=10),
    }.items():
        cases["flux_" + name] = draw(flux, timestep_sampling=name, **options)
    for scheme in ["uniform", "none", "logit_normal", "mode", "cosmap", "sigma_sqrt"]:
        cases["flux_sigma_" + scheme] = draw(flux, weighting_scheme=scheme, logit_mean=0.3, logit_std=1.4, mode_scale=0.9)
    cases["flux_ip"] = draw(flux, timestep_sampling="uniform", ip_noise_gamma=0.2)
    cases["flux_ip_random"] = draw(flux, timestep_sampling="uniform", ip_noise_gamma=0.2, ip_noise_gamma_random_strength=True)
    cases["flux_bf16_sigma"] = draw(flux, torch.bfloat16, discrete_flow_shift=2.0)
    cases["flux_bf16_shift"] = draw(flux, torch.bfloat16, timestep_sampling="shift")
    cases["lumina_nextdit_shift"] = draw(lumina, timestep_sampling="nextdit_shift", height=6, width=10)
    cases["lumina_flux_shift"] = draw(lumina, timestep_sampling="flux_shift", height=6, width=10)
    for scheme in ["uniform", "logit_normal", "mode"]:
        cases["sd3_" + scheme] = draw(sd3, weighting_scheme=scheme, training_shift=2.5, mode_scale=0.7)
    cases["sd3_limits"] = draw(sd3, min_timestep=200, max_timestep=700)
    cases["sd3_bf16"] = draw(sd3, torch.bfloat16, training_shift=3.0)
    return cases


def losses():
    """The loss of each sample of a fixed batch, as the training scripts put it together."""
    x = latents()
    noise, output = torch.randn_like(x), torch.randn_like(x)
    sigmas = torch.tensor([0.07, 0.5, 0.93])
    share = sigmas.view(-1, 1, 1, 1)
    noisy = (1 - share) * x + share * noise
    cases = {"latents": tensor(x), "noise": tensor(noise), "output": tensor(output), "sigmas": tensor(sigmas)}

    def loss(target, **options):
        args = argparse.Namespace(**DEFAULTS | options)
        prediction, weighting = flux_train_utils.apply_model_prediction_type(args, output, noisy, share)
        c = None
        if args.loss_type in ("huber", "smooth_l1"):
            c = train_util.get_huber_threshold_if_needed(args, sigmas * 1000, types.SimpleNamespace(
                config=types.SimpleNamespace(num_train_timesteps=1000)))
        value = train_util.conditional_loss(prediction.float(), target.float(), args.loss_type, "none", c)
        if weighting is not None:
            value = value * weighting
        return tensor(value.mean([1, 2, 3]))

    for kind in ["raw", "additive", "sigma_scaled"]:
        cases["flux_" + kind] = loss(noise - x, model_prediction_type=kind)
    for scheme in ["sigma_sqrt", "cosmap"]:
        cases["flux_sigma_scaled_" + scheme] = loss(noise - x, model_prediction_type="sigma_scaled", weighting_scheme=scheme)
        cases["sd3_" + scheme] = loss(x, model_prediction_type="sigma_scaled", weighting_scheme=scheme)
    for schedule in ["exponential", "constant"]:
        cases["huber_" + schedule] = loss(noise - x, loss_type="huber", huber_schedule=schedule, huber_c=0.2, huber_scale=0.7)
    return cases


def schedules():
    cases = {}
    for steps, tokens in [(4, 256), (7, 1024), (20, 4080)]:
        cases[f"flux_{steps}_{tokens}"] = flux_train_utils.get_schedule(steps, tokens)
    cases["schnell_4"] = flux_train_utils.get_schedule(4, 1024, shift=False)
    for name, shift in [("sd3", 3.0), ("lumina", 6.0)]:  # both through the scheduler's own timesteps
        scheduler = FlowMatchEulerDiscreteScheduler(shift=shift)
        for steps in [4, 28]:
            scheduler.set_timesteps(steps)
            cases[f"{name}_double_{steps}"] = scheduler.sigmas.tolist()
    scheduler = FlowMatchEulerDiscreteScheduler(shift=6.0)
    for steps in [4, 30]:  # as diffusers' Lumina2Pipeline
        scheduler.set_timesteps(sigmas=[1 - i * (1 - 1 / steps) / (steps - 1) for i in range(steps)])
        cases[f"lumina_{steps}"] = scheduler.sigmas.tolist()
    return cases


def euler():
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    scheduler.set_timesteps(3)
    x = start = latents()
    for t in scheduler.timesteps:
        x = scheduler.step(torch.sin(x + t / 1000), t, x).prev_sample
    return {"start": tensor(start), "end": tensor(x)}


(HERE / "flow.json").write_text(json.dumps(
    {"draws": draws(), "losses": losses(), "schedules": schedules(), "euler": euler()}))
