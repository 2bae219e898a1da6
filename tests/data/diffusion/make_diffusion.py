"""Writes objective.json and samplers.json: schedules, draws, losses and sampler runs of torch and diffusers 0.32.1 (which
needs scipy for lms)."""

import json
import math
import pathlib
import random
import warnings

import diffusers
import torch
import torch.nn.functional as F

warnings.filterwarnings("ignore")
HERE = pathlib.Path(__file__).parent
SD = dict(num_train_timesteps=1000, beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")


def tensor(x):
    values = x.detach().flatten()
    if values.is_floating_point():  # the shortest decimals that read back as the same float32
        values = [float(str(v)) for v in values.float().numpy()]
    else:
        values = values.tolist()
    return {"shape": list(x.shape), "dtype": str(x.dtype).removeprefix("torch."), "data": values}


def ddpm(zero_terminal=False):
    scheduler = diffusers.DDPMScheduler(**SD, clip_sample=False)
    if zero_terminal:
        scheduler.betas = diffusers.schedulers.scheduling_ddim.rescale_zero_terminal_snr(scheduler.betas)
        scheduler.alphas_cumprod = torch.cumprod(1 - scheduler.betas, 0)
    return scheduler


def latents(dtype=torch.float32):
    generator = torch.Generator().manual_seed(7)
    return torch.randn(3, 4, 6, 5, generator=generator).to(dtype) * 0.9


def draw(seed, x, offset=0.0, offset_random=False, adaptive=None, iterations=0, discount=0.3, gamma=0.0,
         gamma_random=False, low=0, high=1000):
    torch.manual_seed(seed)
    random.seed(seed)
    noise = torch.randn_like(x)
    if offset:
        strength = torch.rand(1) * offset if offset_random else offset
        if adaptive is not None:
            strength = torch.clamp(strength + adaptive * x.mean(dim=(2, 3), keepdim=True).abs(), min=0.0)
        noise = noise + strength * torch.randn(x.shape[0], x.shape[1], 1, 1)
    if iterations:
        h, w = x.shape[2:]
        for i in range(iterations):
            r = random.random() * 2 + 2
            size = max(1, int(h / r**i)), max(1, int(w / r**i))
            noise += F.interpolate(torch.randn(x.shape[0], x.shape[1], *size), size=(h, w), mode="bilinear") * discount**i
            if 1 in size:
                break
        noise = noise / noise.std()
    timesteps = torch.randint(low, high, (x.shape[0],)) if low < high else torch.full((x.shape[0],), high)
    added = noise
    if gamma:
        strength = torch.rand(1) * gamma if gamma_random else gamma
        added = noise + strength * torch.randn_like(x)
    noisy = ddpm().add_noise(x, added, timesteps)
    return {"noise": tensor(noise), "noisy_latents": tensor(noisy), "timesteps": tensor(timesteps)}


def thresholds(schedule, c, scale, t, alphas):
    if schedule == "exponential":
        return torch.exp(math.log(c) / 1000 * t) * scale
    if schedule == "constant":
        return torch.full((len(t),), c * scale)
    sigma = ((1.0 - alphas[t]) / alphas[t]) ** 0.5
    return (1 - c) / (1 + sigma) ** 2 + c


def loss(kind, prediction, target, c):
    if kind in ("l1", "l2"):
        return (F.mse_loss if kind == "l2" else F.l1_loss)(prediction, target, reduction="none")
    c = c.view(-1, 1, 1, 1)
    excess = torch.sqrt((prediction - target) ** 2 + c**2) - c
    return 2 * c * excess if kind == "huber" else 2 * excess


def weighted(per_sample, t, v, min_snr=0.0, scale_v=False, like=0.0, debiased=False):
    a = ddpm().alphas_cumprod
    snr = ((a.sqrt() / (1 - a).sqrt()) ** 2)[t]
    capped = snr.clamp(max=1000)
    if min_snr:
        per_sample = per_sample * (snr.clamp(max=min_snr) / (snr + 1 if v else snr))
    if scale_v:
        per_sample = per_sample * (capped / (capped + 1))
    if like:
        per_sample = per_sample + per_sample / (capped / (capped + 1)) * like
    if debiased:
        per_sample = (1 / (capped + 1) if v else 1 / capped.sqrt()) * per_sample
    return per_sample


def objective():
    out = {"latents": tensor(latents()), "latents_bfloat16": tensor(latents(torch.bfloat16))}
    rows = [0, 1, 2, 500, 998, 999]
    for name, zero in (("plain", False), ("zero_terminal", True)):
        a = ddpm(zero).alphas_cumprod
        out[f"alphas_{name}"] = tensor(a[rows])
        out[f"snr_{name}"] = tensor(((a.sqrt() / (1 - a).sqrt()) ** 2)[rows])
    out["rows"] = rows
    x, t = latents(), torch.tensor([0, 437, 999])
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(3))
    out["noise"], out["timesteps"] = tensor(noise), tensor(t)
    for dtype in (torch.float32, torch.bfloat16):
        for name, zero in (("plain", False), ("zero_terminal", True)):
            key = f"{name}_{str(dtype).removeprefix('torch.')}"
            out[f"noisy_{key}"] = tensor(ddpm(zero).add_noise(x.to(dtype), noise.to(dtype), t))
            out[f"velocity_{key}"] = tensor(ddpm(zero).get_velocity(x.to(dtype), noise.to(dtype), t))
    out["draws"] = {
        "plain": draw(11, x),
        "bfloat16": draw(11, latents(torch.bfloat16)),
        "offset": draw(12, x, offset=0.1),
        "offset_bfloat16": draw(12, latents(torch.bfloat16), offset=0.1),
        "offset_random_adaptive": draw(13, x, offset=0.1, offset_random=True, adaptive=0.05),
        "offset_adaptive_negative": draw(13, x, offset=0.01, adaptive=-0.5),
        "multires": draw(14, x, iterations=6, discount=0.4),
        "multires_bfloat16": draw(14, latents(torch.bfloat16), iterations=6, discount=0.4),
        "perturbed": draw(15, x, gamma=0.1),
        "everything": draw(16, x, 0.1, True, 0.02, 4, 0.3, 0.05, True, 200, 300),
        "constant_timestep": draw(17, x, low=900, high=900),
    }
    prediction = torch.randn(x.shape, generator=torch.Generator().manual_seed(5))
    weights, mask = torch.tensor([1.0, 0.5, 1.0]), torch.rand(3, 48, 40, generator=torch.Generator().manual_seed(6))
    out["prediction"], out["weights"], out["mask"] = tensor(prediction), tensor(weights), tensor(mask)
    a = ddpm().alphas_cumprod
    for kind in ("l2", "l1", "huber", "smooth_l1"):
        for schedule in ("snr", "exponential", "constant"):
            c = thresholds(schedule, 0.2, 0.7, t, a)
            out[f"loss_{kind}_{schedule}"] = tensor(loss(kind, prediction, noise, c).mean(dim=[1, 2, 3]))
    shrunk = F.interpolate(mask.unsqueeze(1), size=x.shape[2:], mode="area")
    masked = (loss("l2", prediction, noise, None) * shrunk).mean(dim=[1, 2, 3]) * weights
    out["loss_masked"] = tensor(masked)
    for v in (False, True):
        target = ddpm().get_velocity(x, noise, t) if v else noise
        plain = loss("l2", prediction, target, None).mean(dim=[1, 2, 3])
        name = "v" if v else "epsilon"
        out[f"weighted_{name}_min_snr"] = tensor(weighted(plain, t, v, min_snr=5.0))
        out[f"weighted_{name}_debiased"] = tensor(weighted(plain, t, v, debiased=True))
        out[f"weighted_{name}_all"] = tensor(weighted(plain, t, v, 5.0, v, 0.0 if v else 0.3, True))
    (HERE / "objective.json").write_text(json.dumps(out) + "\n")


SAMPLERS = {
    "ddim": (diffusers.DDIMScheduler, dict(clip_sample=False)),
    "ddim_clipped": (diffusers.DDIMScheduler, dict(clip_sample=True)),
    "pndm": (diffusers.PNDMScheduler, {}),
    "lms": (diffusers.LMSDiscreteScheduler, {}),
    "euler": (diffusers.EulerDiscreteScheduler, {}),
    "euler_a": (diffusers.EulerAncestralDiscreteScheduler, {}),
    "heun": (diffusers.HeunDiscreteScheduler, {}),
    "heun_clipped": (diffusers.HeunDiscreteScheduler, dict(clip_sample=True)),
    "dpm_2": (diffusers.KDPM2DiscreteScheduler, {}),
    "dpm_2_a": (diffusers.KDPM2AncestralDiscreteScheduler, {}),
    # With final_sigmas_type's default diffusers refuses dpmsolver.
    "dpmsolver": (diffusers.DPMSolverMultistepScheduler, dict(algorithm_type="dpmsolver", final_sigmas_type="sigma_min")),
    "dpmsolver++": (diffusers.DPMSolverMultistepScheduler, dict(algorithm_type="dpmsolver++")),
    "dpmsingle": (diffusers.DPMSolverSinglestepScheduler, {}),
}


def model(x, t):
    return 0.3 * x + 0.5 * torch.sin(3 * x) + float(t) / 2000


def samplers():
    out = {"runs": []}
    start = torch.randn(1, 2, 4, 3, generator=torch.Generator().manual_seed(1))
    out["start"] = tensor(start)
    for name, (kind, options) in SAMPLERS.items():
        for prediction in ("epsilon", "v_prediction"):
            for steps in (1, 5, 20):
                if name == "pndm" and steps == 1:
                    continue
                scheduler = kind(**SD, prediction_type=prediction, **options)
                scheduler.set_timesteps(steps)
                generator = torch.Generator().manual_seed(2)
                extra = {"generator": generator} if name.endswith("_a") else {}
                x = start * scheduler.init_noise_sigma
                for t in scheduler.timesteps:
                    x = scheduler.step(model(scheduler.scale_model_input(x, t), t), t, x, **extra).prev_sample
                out["runs"].append({
                    "name": name, "prediction": prediction, "steps": steps, "end": tensor(x),
                    "timesteps": scheduler.timesteps.tolist(), "init_noise_sigma": float(scheduler.init_noise_sigma),
                })
    (HERE / "samplers.json").write_text(json.dumps(out) + "\n")


objective()
samplers()
