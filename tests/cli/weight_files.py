"""Small files of fp32 tensors, written and read without numpy, and matrices as lists of rows."""

import json
import math
import random
import struct


class Tensor:
    def __init__(self, shape, values, dtype="F32"):
        self.shape, self.values, self.dtype = list(shape), list(values), dtype

    def rows(self):
        """As a matrix: the first axis by all others."""
        width = len(self.values) // self.shape[0]
        return [self.values[i * width:(i + 1) * width] for i in range(self.shape[0])]


def normal(shape, seed):
    generator = random.Random(seed)
    return Tensor(shape, [round(generator.gauss(0, 1), 3) for _ in range(math.prod(shape))])


def bf16(value):
    """Rounded to 16 bits as bfloat16 has them, to the nearest and then to even."""
    bits, = struct.unpack("<I", struct.pack("<f", value))
    bits += 0x7fff + (bits >> 16 & 1)
    return struct.unpack("<f", struct.pack("<I", bits & 0xffff0000))[0]


def product(up, down, scale=1.0):
    """scale × up · down of two tensors, as rows."""
    return [[scale * sum(u * d for u, d in zip(row, column)) for column in zip(*down.rows())] for row in up.rows()]


def pack(tensors, metadata=None):
    """The bytes of a file of fp32 tensors: {name: Tensor}, or (shape, values), or (shape, one value) for all."""
    header = {} if metadata is None else {"__metadata__": metadata}
    data = b""
    for name, tensor in sorted(tensors.items()):
        if not isinstance(tensor, Tensor):
            shape, values = tensor
            tensor = Tensor(shape, values if isinstance(values, list) else [values] * math.prod(shape))
        content = struct.pack(f"<{len(tensor.values)}f", *tensor.values)
        header[name] = {"dtype": "F32", "shape": tensor.shape, "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


FORMATS = {"F32": "f", "F16": "e", "I64": "q", "F8_E4M3": "B"}


def unpack(path):
    """{name: Tensor} and the metadata; 16-bit brain floats are widened, 8-bit ones are their bytes."""
    content = path.read_bytes()
    begin = 8 + struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8:begin])
    metadata = header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        first, last = entry["data_offsets"]
        raw = content[begin + first:begin + last]
        if entry["dtype"] == "BF16":
            raw = b"".join(b"\0\0" + raw[i:i + 2] for i in range(0, len(raw), 2))
            values = struct.unpack(f"<{len(raw) // 4}f", raw)
        else:
            letter = FORMATS[entry["dtype"]]
            values = struct.unpack(f"<{len(raw) // struct.calcsize(letter)}{letter}", raw)
        tensors[name] = Tensor(entry["shape"], values, entry["dtype"])
    return tensors, metadata


def lora(modules, rank=2, alpha=1.0, seed=1):
    """The tensors of a LoRA: {module: (out, in)}, or (out, in, kernel, kernel)."""
    tensors = {}
    for number, (module, shape) in enumerate(modules.items()):
        out, *rest = shape
        tensors[f"{module}.lora_down.weight"] = normal([rank, *rest], 10 * seed + 2 * number)
        tensors[f"{module}.lora_up.weight"] = normal([out, rank] + [1] * (len(rest) - 1), 10 * seed + 2 * number + 1)
        tensors[f"{module}.alpha"] = Tensor([], [alpha])
    return tensors


def change(tensors, module):
    """up · down × alpha / rank, as rows."""
    down, up = tensors[f"{module}.lora_down.weight"], tensors[f"{module}.lora_up.weight"]
    rank = down.shape[0]
    alpha = tensors[f"{module}.alpha"].values[0] if f"{module}.alpha" in tensors else rank
    return product(Tensor([up.shape[0], rank], up.values), down, alpha / rank)
