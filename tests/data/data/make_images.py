"""Makes the picture folders of the data tests: python make_images.py (in this folder)."""

from pathlib import Path

import numpy as np
from PIL import Image


def picture(width, height, seed, channels=3):
    # Smooth waves: small as PNG, and different in every pixel that a wrong crop would show.
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    waves = [127.5 + 127.5 * np.sin((x * (k + 1 + seed % 5) + y * (3 - k + seed % 3)) / (14.0 + seed)) for k in range(channels)]
    if channels == 4:
        waves[3] = np.where(x > width / 3, 255, 40 + y)
    return Image.fromarray(np.stack(waves, axis=2).clip(0, 255).astype(np.uint8) // 4 * 4)


def write(folder, name, size, caption=None, seed=0, extension=".txt", channels=3, **options):
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    picture(*size, seed, channels).save(path / name, **options)
    if caption is not None:
        (path / name).with_suffix(extension).write_bytes(caption.encode("utf-8"))


def main():
    cat = "pictures/3_ohwx cat"
    sizes = [(128, 128), (200, 100), (90, 180), (256, 192), (64, 64), (70, 130), (128, 64)]
    for i, size in enumerate(sizes):
        tags = ", ".join(["a cat", f"view {i}", "sitting", "grass", "sun; light", "very {soft|hard|{odd} fur", "end"][: 3 + i % 5])
        write(cat, f"im{i:02d}.png", size, tags + "\nsecond line, other tags\r\n\n third ", seed=i)
    write(cat, "photo.jpg", (150, 110), "  a {red|green|blue} cat ||| one, two,, three ||| last, {{kept}} \n", seed=9, quality=90)
    write(cat, "face_10_20_30_40.webp", (100, 140), None, seed=11, lossless=True)
    (Path(cat) / "face.txt").write_text("a face, Ünïcode, ÀÉ TAG\n", encoding="utf-8")
    write(cat, "no_caption.bmp", (80, 80), None, seed=12)

    # 64x64 and larger, for training without buckets.
    for i, size in enumerate([(64, 64), (80, 64), (64, 90), (100, 77), (64, 64)]):
        write("pictures/plain", f"p{i}.png", size, f"plain {i}, one, two, three", seed=20 + i, extension=".caption")

    for i, size in enumerate([(120, 120), (100, 150), (60, 60), (90, 64)]):
        write("regularisation/2_cat", f"r{i}.png", size, None, seed=30 + i)

    for i, size in enumerate([(96, 96), (130, 70)]):
        write("transparent", f"t{i}.png", size, f"see-through {i}", seed=40 + i, channels=4)

    rotated = picture(96, 64, 50)
    exif = Image.Exif()
    exif[0x0112] = 6
    Path("rotated").mkdir(exist_ok=True)
    rotated.save("rotated/r.jpg", exif=exif, quality=95)
    Path("rotated/r.txt").write_text("turned\n")


if __name__ == "__main__":
    main()
