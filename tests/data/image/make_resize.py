"""Makes resize/expected.txt and resize/cubic_*.png: what OpenCV and Pillow make of computed pictures.

Needs opencv-python-headless 4.10.0.84 with numpy 1, and Pillow 13. Run in this folder: python make_resize.py
"""
import hashlib

import cv2
import numpy as np
from PIL import Image

OPENCV = {"nearest": cv2.INTER_NEAREST_EXACT, "linear": cv2.INTER_LINEAR, "area": cv2.INTER_AREA,
          "cubic": cv2.INTER_CUBIC}
PILLOW = {"lanczos": Image.Resampling.LANCZOS, "box": Image.Resampling.BOX}
# Source and target sizes: shrinking by whole and broken ratios, enlarging, both at once, one side kept, extremes.
SIZES = [(96, 64, 48, 32), (96, 64, 32, 16), (120, 90, 24, 90), (200, 150, 64, 64), (199, 151, 64, 48),
         (640, 427, 512, 341), (640, 427, 192, 128), (50, 40, 64, 64), (37, 23, 128, 96), (50, 200, 64, 64),
         (200, 50, 64, 64), (200, 50, 64, 50), (33, 500, 40, 60), (1, 1, 8, 8), (64, 64, 1, 1), (3, 2, 2, 3),
         (300, 7, 17, 7), (256, 256, 255, 255), (255, 255, 256, 256), (1000, 750, 333, 250)]


def picture(width, height, channels, binary):
    """Noise that a test can compute: a mixed-up counter, or its highest bit as 0 or 255."""
    v = np.arange(width * height * channels, dtype=np.uint32) * np.uint32(2654435761)
    v ^= v >> np.uint32(15)
    v *= np.uint32(2246822519)
    v ^= v >> np.uint32(13)
    samples = (v >> np.uint32(24)).astype(np.uint8)
    if binary:
        samples = (samples >> 7) * np.uint8(255)
    return samples.reshape(height, width, channels)


def resize(image, size, name):
    if name in OPENCV:
        return cv2.resize(image, size, interpolation=OPENCV[name])
    return np.array(Image.fromarray(image).resize(size, PILLOW[name]))


def main():
    lines = ["# interpolation channels binary width height -> width height, sha256 of the pixels"]
    for name in list(OPENCV) + list(PILLOW):
        for i, (w, h, new_w, new_h) in enumerate(SIZES):
            for channels in (3, 4):
                binary = (i + channels) % 2
                image = resize(picture(w, h, channels, binary), (new_w, new_h), name)
                if name != "cubic":
                    digest = hashlib.sha256(image.tobytes()).hexdigest()
                    lines.append(f"{name} {channels} {binary} {w} {h} {new_w} {new_h} {digest}")
                elif w * h < 20000 and new_w * new_h < 5000:
                    Image.fromarray(image).save(f"resize/cubic_{channels}_{binary}_{w}_{h}_{new_w}_{new_h}.png")
    with open("resize/expected.txt", "w") as file:
        file.write("\n".join(lines) + "\n")


main()
