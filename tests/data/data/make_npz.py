"""Writes entry_200x100_sd.npz as NumPy's savez writes a latent cache entry: python make_npz.py (in this folder)."""

import numpy as np

latents = (np.arange(4 * 8 * 24, dtype=np.float32) / 7 - 50).reshape(4, 8, 24)
np.savez(
    "entry_200x100_sd.npz",
    latents=latents,
    original_size=np.array((200, 100)),
    crop_ltrb=np.array((0.0, -16.0, 192.0, 80.0)),
    latents_flipped=latents[:, :, ::-1].copy(),
    other=np.array([1.5]),
)
