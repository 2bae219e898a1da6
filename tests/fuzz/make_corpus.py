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
SAFETENSORS, PICKLE, ZIP = b"\0", b"\1", b"\2"


def safetensors(header, data=b"", length=None):
    text = json.dumps(header).encode() if isinstance(header, dict) else header
    return SAFETENSORS + struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def archive(compression, content=b"0123456789" * 20):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as file:
        file.writestr("archive/data.pkl", pickle.dumps({"a": [1, 2.5, None]}, 2))
        file.writestr("archive/data/0", content)
    return ZIP + out.getvalue()


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
