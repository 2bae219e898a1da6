"""Makes the images of this folder and expected.txt: what Pillow reads from them.

Needs Pillow 13 with AVIF, pillow-jxl-plugin, numpy, and a C compiler with libjpeg and libjxl (for the YCCK JPEG and
the rotated JPEG XL).
Run in this folder: python make_images.py
"""
import hashlib
import pathlib
import struct
import subprocess
import tempfile
import zlib

import numpy as np
import pillow_jxl  # noqa: F401  (registers the plugin)
from PIL import Image, ImageOps

HERE = pathlib.Path(__file__).parent
W, H = 37, 23


def picture(width=W, height=H, channels=3, bits=8):
    """Smooth colours with a hard-edged square, so that rotations and chroma upsampling show."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [x / (width - 1), y / (height - 1), (x + 2 * y) % 16 / 15, 0.5 + 0.5 * np.sin(x / 3 + y / 5)]
    image = np.stack(planes[:channels], -1)
    image[3:9, 4:14] = [1, 0, 0.2, 1][:channels]
    return np.round(image * (2**bits - 1)).astype(np.uint16 if bits > 8 else np.uint8)


RGB = Image.fromarray(picture())
RGBA = Image.fromarray(picture(channels=4))
GREY = RGB.convert("L")
PALETTE = RGB.quantize(200)
CMYK = Image.fromarray(picture(channels=4), "CMYK")


def chunk(tag, data):
    return struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))


ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def png(samples, color_type, bits, interlaced=False, extra=b""):
    """A PNG from [H, W, C] samples, for the kinds that Pillow does not write."""
    def rows(part):
        out = b""
        for row in part.reshape(part.shape[0], -1):
            if bits == 16:
                packed = row.astype(">u2").tobytes()
            elif bits == 8:
                packed = row.astype(np.uint8).tobytes()
            else:
                as_bits = (row[:, None] >> np.arange(bits - 1, -1, -1)) & 1
                packed = np.packbits(as_bits.astype(np.uint8)).tobytes()
            out += b"\0" + packed
        return out

    height, width = samples.shape[:2]
    if interlaced:
        parts = [samples[y0::dy, x0::dx] for x0, y0, dx, dy in ADAM7]
        data = b"".join(rows(p) for p in parts if p.size)
    else:
        data = rows(samples)
    header = struct.pack(">IIBBBBB", width, height, bits, color_type, 0, 0, int(interlaced))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(data, 9)) +
            chunk(b"IEND", b""))


def bmp(bits, rows, palette=b"", compression=0, masks=b"", header_bytes=40, top_down=False, width=W, height=H):
    rows = [r + b"\0" * (-len(r) % 4) for r in rows]
    pixels = b"".join(rows if top_down else rows[::-1])
    colors = len(palette) // 4 if header_bytes != 12 else 0
    if header_bytes == 12:
        info = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        info = struct.pack("<IiiHHIIiiII", header_bytes, width, -height if top_down else height, 1, bits, compression,
                           len(pixels), 0, 0, colors, 0)
        info += masks
        if header_bytes > 40:
            info += b"\0" * (header_bytes - len(info))
    offset = 14 + len(info) + len(palette)
    return b"BM" + struct.pack("<IHHI", offset + len(pixels), 0, 0, offset) + info + palette + pixels


def exif(orientation):
    data = Image.Exif()
    data[0x0112] = orientation
    return data


def make_png():
    RGB.save("rgb.png")
    RGBA.save("rgba.png")
    GREY.save("grey.png")
    RGBA.convert("LA").save("grey_alpha.png")
    PALETTE.save("palette.png")
    PALETTE.save("palette_alpha.png", transparency=bytes(range(0, 200)))
    PALETTE.save("palette_one_transparent.png", transparency=7)
    RGB.quantize(13).save("palette_4_bit.png", bits=4)
    RGB.quantize(3).save("palette_2_bit.png", bits=2)
    RGB.convert("1").save("bilevel.png")
    RGB.save("rgb_one_transparent.png", transparency=tuple(int(v) for v in picture()[5, 6]))
    GREY.save("grey_one_transparent.png", transparency=int(np.array(GREY)[5, 6]))
    RGB.save("colour_profile.png", icc_profile=b"not a profile" * 20)
    RGB.save("gamma.png", pnginfo=None)
    data = pathlib.Path("gamma.png").read_bytes()
    pathlib.Path("gamma.png").write_bytes(data[:33] + chunk(b"gAMA", struct.pack(">I", 100000)) + data[33:])
    for orientation in range(1, 9):
        RGB.save(f"orientation_{orientation}.png", exif=exif(orientation))
    RGB.save("animated.png", save_all=True, append_images=[RGB.rotate(180)], duration=100)
    write = lambda name, data: pathlib.Path(name).write_bytes(data)
    grey16 = picture(channels=1, bits=16)
    grey16[0, :8, 0] = [0, 1, 127, 254, 255, 256, 511, 65535]
    write("grey_16_bit.png", png(grey16, 0, 16))
    write("grey_alpha_16_bit.png", png(picture(channels=4, bits=16)[..., [0, 3]], 4, 16))
    write("rgb_16_bit.png", png(picture(bits=16), 2, 16))
    write("rgba_16_bit.png", png(picture(channels=4, bits=16), 6, 16))
    write("grey_4_bit.png", png(picture(channels=1, bits=4), 0, 4))
    write("grey_2_bit.png", png(picture(channels=1, bits=2), 0, 2))
    write("interlaced.png", png(picture(), 2, 8, interlaced=True))
    write("interlaced_rgba_16_bit.png", png(picture(channels=4, bits=16), 6, 16, interlaced=True))
    write("interlaced_bilevel.png", png(picture(channels=1, bits=1), 0, 1, interlaced=True))


YCCK = r"""
#include <stdio.h>
#include <stdlib.h>
#include <jpeglib.h>
int main(int argc, char** argv) {
  const int w = atoi(argv[1]), h = atoi(argv[2]);
  struct jpeg_compress_struct c; struct jpeg_error_mgr e;
  c.err = jpeg_std_error(&e); jpeg_create_compress(&c);
  FILE* f = fopen(argv[3], "wb"); jpeg_stdio_dest(&c, f);
  c.image_width = w; c.image_height = h; c.input_components = 4; c.in_color_space = JCS_CMYK;
  jpeg_set_defaults(&c); jpeg_set_colorspace(&c, JCS_YCCK); jpeg_set_quality(&c, 90, 1);
  jpeg_start_compress(&c, 1);
  unsigned char* row = malloc(w * 4);
  for (int y = 0; y < h; ++y) { if (fread(row, 4, w, stdin) != (size_t)w) return 1; jpeg_write_scanlines(&c, &row, 1); }
  jpeg_finish_compress(&c); fclose(f); return 0;
}
"""


ROTATED_JPEG_XL = r"""
#include <stdio.h>
#include <stdlib.h>
#include <jxl/encode.h>
int main(int argc, char** argv) {
  const int w = atoi(argv[1]), h = atoi(argv[2]);
  JxlEncoder* e = JxlEncoderCreate(NULL);
  JxlBasicInfo b; JxlEncoderInitBasicInfo(&b);
  b.xsize = w; b.ysize = h; b.bits_per_sample = 8; b.orientation = 6; b.uses_original_profile = 1;
  JxlEncoderSetBasicInfo(e, &b);
  JxlColorEncoding c; JxlColorEncodingSetToSRGB(&c, 0); JxlEncoderSetColorEncoding(e, &c);
  JxlEncoderFrameSettings* s = JxlEncoderFrameSettingsCreate(e, NULL);
  JxlEncoderSetFrameLossless(s, 1);
  unsigned char* in = malloc(w * h * 3); unsigned char out[65536], *next = out; size_t left = sizeof out;
  if (fread(in, 3, w * h, stdin) != (size_t)(w * h)) return 1;
  JxlPixelFormat f = {3, JXL_TYPE_UINT8, JXL_NATIVE_ENDIAN, 0};
  JxlEncoderAddImageFrame(s, &f, in, w * h * 3); JxlEncoderCloseInput(e);
  if (JxlEncoderProcessOutput(e, &next, &left) != JXL_ENC_SUCCESS) return 2;
  FILE* o = fopen(argv[3], "wb"); fwrite(out, 1, next - out, o); fclose(o); return 0;
}
"""


def run_c(code, library, output, pixels):
    with tempfile.TemporaryDirectory() as folder:
        source, program = pathlib.Path(folder) / "make.c", pathlib.Path(folder) / "make"
        source.write_text(code)
        subprocess.run(["cc", source, "-o", program, library], check=True)
        subprocess.run([program, str(W), str(H), output], input=pixels.tobytes(), check=True)


def make_jpeg():
    for name, subsampling in (("444", 0), ("422", 1), ("420", 2)):
        RGB.save(f"ycc_{name}.jpg", quality=85, subsampling=subsampling)
    RGB.save("progressive.jpg", quality=80, progressive=True)
    RGB.save("restart_markers.jpg", quality=80, restart_marker_blocks=2)
    RGB.save("stored_rgb.jpg", quality=90, keep_rgb=True)
    GREY.save("grey.jpg", quality=85)
    CMYK.save("cmyk.jpg", quality=90)
    for orientation in (3, 6, 8):
        RGB.save(f"orientation_{orientation}.jpg", quality=85, exif=exif(orientation))
    run_c(YCCK, "-ljpeg", "ycck.jpg", 255 - picture(channels=4))


def make_webp():
    RGB.save("lossy.webp", quality=80)
    RGB.save("lossless.webp", lossless=True)
    RGBA.save("lossy_alpha.webp", quality=80)
    RGBA.save("lossless_alpha.webp", lossless=True, exact=True)
    RGB.save("orientation_6.webp", quality=80, exif=exif(6))
    frames = [RGBA, RGBA.rotate(180)]
    frames[0].save("animated.webp", save_all=True, append_images=frames[1:], duration=100, lossless=True)
    RGB.save("animated_lossy.webp", save_all=True, append_images=[RGB.rotate(180)], duration=100, quality=80)
    small = Image.new("RGBA", (W, H))  # its first frame covers a part of the canvas
    small.paste(RGBA.crop((4, 2, 30, 20)), (10, 4))
    small.save("animated_part.webp", save_all=True, append_images=frames[1:], duration=100, lossless=True,
               minimize_size=True)


def make_bmp():
    RGB.save("rgb.bmp")
    GREY.save("grey.bmp")
    PALETTE.save("palette.bmp")
    RGB.convert("1").save("bilevel.bmp")
    write = lambda name, data: pathlib.Path(name).write_bytes(data)
    rgb, rgba = picture().astype(np.uint32), picture(channels=4).astype(np.uint32)
    bgra = [row[:, [2, 1, 0, 3]].astype(np.uint8).tobytes() for row in rgba]
    indexed = RGB.quantize(16)
    colors = np.array(indexed.getpalette()[:48], np.uint8).reshape(-1, 3)[:, ::-1]
    palette4 = b"".join(c.tobytes() + b"\0" for c in colors)
    index = np.array(indexed)
    padded = np.pad(index, ((0, 0), (0, W % 2)))
    nibbles = [(row[0::2] << 4 | row[1::2]).astype(np.uint8).tobytes() for row in padded]
    write("palette_4_bit.bmp", bmp(4, nibbles, palette4))
    write("os2.bmp", bmp(4, nibbles, b"".join(c.tobytes() for c in colors), header_bytes=12))
    write("top_down.bmp", bmp(24, [row[:, ::-1].astype(np.uint8).tobytes() for row in rgb], top_down=True))
    p555 = rgb[..., 0] >> 3 << 10 | rgb[..., 1] >> 3 << 5 | rgb[..., 2] >> 3
    p565 = rgb[..., 0] >> 3 << 11 | rgb[..., 1] >> 2 << 5 | rgb[..., 2] >> 3
    write("rgb_555.bmp", bmp(16, [r.astype("<u2").tobytes() for r in p555]))
    write("rgb_565.bmp", bmp(16, [r.astype("<u2").tobytes() for r in p565], compression=3,
                             masks=struct.pack("<III", 0xF800, 0x7E0, 0x1F)))
    write("rgb_32_bit.bmp", bmp(32, bgra))
    write("rgba_32_bit.bmp", bmp(32, bgra, compression=3, header_bytes=108,
                                 masks=struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)))
    write("rle.bmp", bmp(8, [b"\x25\x01\0\0"] * H, b"\0\0\0\0\xFF\xFF\xFF\0", compression=1))


def make_avif_and_jpeg_xl():
    RGB.save("lossy.avif", quality=90, subsampling="4:4:4")
    RGB.save("lossy_420.avif", quality=80)
    RGBA.save("alpha.avif", quality=90, subsampling="4:4:4")
    for orientation in range(2, 9):
        RGB.save(f"orientation_{orientation}.avif", quality=90, subsampling="4:4:4", exif=exif(orientation))
    RGB.save("animated.avif", save_all=True, append_images=[RGB.rotate(180)], quality=80)
    RGB.save("lossless.jxl", lossless=True)
    RGB.save("lossy.jxl", quality=90)
    RGBA.save("alpha.jxl", lossless=True)
    GREY.save("grey.jxl", lossless=True)
    run_c(ROTATED_JPEG_XL, "-ljxl", "orientation_6.jxl", picture())


def main():
    make_png()
    make_jpeg()
    make_webp()
    make_bmp()
    make_avif_and_jpeg_xl()
    lines = ["# file, width and height, sha256 of the RGB and of the RGBA pixels as Pillow reads the file, sha256 of the",
             "# RGB pixels after ImageOps.exif_transpose()"]
    (HERE / "decoded").mkdir(exist_ok=True)
    for path in sorted(HERE.iterdir()):
        if path.suffix in (".png", ".jpg", ".webp", ".bmp") and path.name not in ("rle.bmp",):
            with Image.open(path) as image:
                pictures = [image.convert("RGB"), image.convert("RGBA"), ImageOps.exif_transpose(image).convert("RGB")]
                hashes = " ".join(hashlib.sha256(p.tobytes()).hexdigest() for p in pictures)
                lines.append(f"{path.name} {image.width} {image.height} {hashes}")
        elif path.suffix in (".avif", ".jxl"):
            # Other versions of these decoders round otherwise, so the pixels themselves are kept.
            with Image.open(path) as image:
                ImageOps.exif_transpose(image).convert("RGBA").save(HERE / "decoded" / (path.name + ".png"))
    (HERE / "expected.txt").write_text("\n".join(lines) + "\n")


main()
