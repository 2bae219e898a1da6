#!/usr/bin/env python3
"""Writes the seeds of tests/fuzz/corpus: small valid files of each format behind the byte that chooses the reader, and
damaged ones. Standard library only."""

import io
import json
import pickle
import struct
import zipfile
from pathlib import Path

FOLDER = Path(__file__).parent / "corpus"
SAFETENSORS, PICKLE, ZIP, NPZ = b"\0", b"\1", b"\2", b"\3"


def safetensors(header, data=b"", length=None):
    text = json.dumps(header).encode() if isinstance(header, dict) else header
    return SAFETENSORS + struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def add(file, name, content):
    info = zipfile.ZipInfo(name)  # without the time of day, so that every run writes the same bytes
    info.compress_type = file.compression
    file.writestr(info, content)


def archive(compression, content=b"0123456789" * 20):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as file:
        add(file, "archive/data.pkl", pickle.dumps({"a": [1, 2.5, None]}, 2))
        add(file, "archive/data/0", content)
    return ZIP + out.getvalue()


def npz(shape, data, fortran=False, compression=zipfile.ZIP_STORED, descr="<f4"):
    header = f"{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as file:
        add(file, "latents.npy", b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + data)
    return NPZ + out.getvalue()


def main():
    FOLDER.mkdir(exist_ok=True)
    two = {"a": entry("F32", [2, 3], 0, 24), "b": entry("BF16", [4], 24, 32), "__metadata__": {"k": "v\u00e9\n"}}
    every = ["U64", "I64", "F64", "F32", "U32", "I32", "BF16", "F16", "U16", "I16", "F8_E4M3", "F8_E5M2", "I8", "U8", "BOOL"]
    empty = {name: entry(name, [0, 5], 0, 0) for name in every}
    plain = {"list": [1, -2, 2**40, 2**70], "text": "t\u00e9", "bytes": b"\0\1", "none": (None, True, 1.5, {1, 2})}
    stored = archive(zipfile.ZIP_STORED)
    nested = b"[" * 3000
    files = {
        "valid_safetensors_two": safetensors(two, bytes(32)),
        "valid_safetensors_scalar": safetensors({"s": entry("F32", [], 0, 4)}, bytes(4)),
        "valid_safetensors_dtypes": safetensors(empty),
        "valid_safetensors_none": safetensors(b"{}"),
        **{f"valid_pickle_{p}": PICKLE + pickle.dumps(plain, p) for p in (2, 3, 4, 5)},
        "valid_zip_stored": stored,
        "valid_zip_deflated": archive(zipfile.ZIP_DEFLATED),
        "valid_npz_stored": npz("(2, 3)", bytes(24)),
        "valid_npz_deflated": npz("(4,)", bytes(16), compression=zipfile.ZIP_DEFLATED),
        "valid_npz_fortran": npz("(3, 2)", bytes(range(24)), fortran=True),
        "valid_npz_scalar": npz("()", bytes(8), descr="<i8"),
        "damaged_npz_short": npz("(2, 3)", bytes(20)),
        "damaged_npz_shape": npz("(2, -3)", bytes(24)),
        "damaged_npz_overflow": npz("(4611686018427387904, 4)", b""),
        "damaged_npz_open": npz("(2, 3", bytes(24)),
        "damaged_npz_dtype": npz("(1,)", bytes(4), descr="|O"),
        "damaged_safetensors_length": safetensors(two, bytes(32), length=2**63 + 5),
        "damaged_safetensors_short": safetensors(two, bytes(31)),
        "damaged_safetensors_overlap": safetensors({"a": entry("U8", [4], 0, 4), "b": entry("U8", [4], 2, 6)}, bytes(6)),
        "damaged_safetensors_overflow": safetensors({"a": entry("F32", [2**62, 4], 0, 0)}),
        "damaged_safetensors_wraps": safetensors({"a": entry("U8", [2**63], 0, 2**63), "b": entry("U8", [2**63], 2**63, 2**64 - 1)}),
        "damaged_safetensors_negative": safetensors({"a": entry("F32", [-1], 0, 4)}, bytes(4)),
        "damaged_safetensors_nested": safetensors(nested),
        "damaged_safetensors_twice": safetensors(b'{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":1}'),
        "damaged_safetensors_utf8": safetensors(b'{"\xff":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'),
        "damaged_pickle_cut": PICKLE + pickle.dumps(plain, 4)[:-9],
        "damaged_pickle_length": PICKLE + b"\x80\x02X\xff\xff\xff\xffa.",
        "damaged_pickle_stack": PICKLE + b"\x80\x02tRb.",
        "damaged_zip_cut": stored[:-30],
        "damaged_zip_offset": stored[:-6] + b"\xf0\xff\xff\xff" + stored[-2:],
        "damaged_zip_content": stored.replace(b"0123456789", b"0123456780", 1),
    }
    for name, content in files.items():
        (FOLDER / name).write_bytes(content)


if __name__ == "__main__":
    main()
