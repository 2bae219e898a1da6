"""Repeats a recorded run of sd-scripts' train_network at reduced widths with difftune and compares it.

    run_case.py NAME DIFFTUNE                  runs the case NAME of cases.toml, compares with its record
    run_case.py --names                        prints the names of the cases
    run_case.py --inputs FOLDER                writes the inputs into an empty FOLDER
    run_case.py --words NAME                   prints the options of the case
    run_case.py --record NAME LOG_DIR LORA     writes records/NAME.json.gz from a run of sd-scripts on these inputs

Standard library only. Inputs are written anew into a temporary folder, so cases can run side by side.
"""

import gzip
import json
import math
import random
import re
import shlex
import struct
import subprocess
import sys
import tempfile
import tomllib
from array import array
from operator import mul
from pathlib import Path

import inputs

HERE = Path(__file__).resolve().parent
LOSS_TOLERANCE = 3e-5
# Of the norm, for all tensors together and for the worst: AdamW turns a gradient near zero, whose sign is rounding noise,
# into a whole step.
MEAN_TOLERANCE, TENSOR_TOLERANCE = 3e-3, 5e-2
VOLATILE = {"ss_session_id", "ss_training_started_at", "ss_training_finished_at", "ss_output_name",
            "ss_sd_scripts_commit_hash", "sshs_model_hash", "sshs_legacy_hash", "modelspec.date", "modelspec.title",
            "modelspec.implementation_version", "ss_sd_model_hash", "ss_new_sd_model_hash"}
DEFAULTS = {"dataset_config": "datasets/flowers.toml", "network_module": "networks.lora", "network_dim": "4",
            "network_alpha": "2", "learning_rate": "1e-3", "max_train_steps": "6", "seed": "42",
            "optimizer_type": "AdamW", "lr_scheduler": "constant", "mixed_precision": "no", "save_precision": "float",
            "max_data_loader_n_workers": "0", "output_dir": "out", "output_name": "lora", "logging_dir": "logs",
            "save_model_as": "safetensors"}


def read_case(name):
    return tomllib.loads((HERE / "cases.toml").read_text())[name]


def words_of(case):
    words = shlex.split(case.get("options", ""))
    given = {word[2:] for word in words if word.startswith("--")}
    if "train_data_dir" in given:
        given.add("dataset_config")
    family = case.get("family", "sd15")
    model = ["--pretrained_model_name_or_path", case.get("model", f"{family}.safetensors"), *(["--v2"] if family == "sd21" else [])]
    defaults = [word for name, value in DEFAULTS.items() if name not in given for word in (f"--{name}", value)]
    return [*model, "--sdpa", *defaults, *words]


def write_inputs(folder, families):
    for family in families:
        inputs.write_checkpoint(folder / f"{family}.safetensors", family)
    inputs.write_pictures(folder / "pictures")
    (folder / "datasets").symlink_to(HERE / "datasets")


def read_lora(path):
    """({key: (shape, values)}, metadata) of a file in fp32."""
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for key, entry in header.items():
        begin, end = (8 + size + offset for offset in entry["data_offsets"])
        tensors[key] = (entry["shape"], array("f", data[begin:end]))
    return tensors, metadata


SIGNS = random.Random(7).choices((-1.0, 1.0), k=8191)


def sketch(values):
    """The norm and the projection on a vector of +1 and -1: a difference in any element shows."""
    signs = SIGNS * (1 + len(values) // len(SIGNS))
    return [math.sqrt(math.fsum(v * v for v in values)), math.fsum(map(mul, values, signs))]


def scalars(log_dir):
    """{tag: [value by step]} of the TensorBoard events below `log_dir`."""

    def varint(data, i):
        result = shift = 0
        while True:
            result |= (data[i] & 127) << shift
            shift += 7
            i += 1
            if not data[i - 1] & 128:
                return result, i

    def fields(data):
        i = 0
        while i < len(data):
            tag, i = varint(data, i)
            kind = tag & 7
            if kind == 0:
                value, i = varint(data, i)
            else:
                size = {1: 8, 5: 4}.get(kind)
                if size is None:
                    size, i = varint(data, i)
                value, i = data[i:i + size], i + size
            yield tag >> 3, value

    found = {}
    for path in sorted(Path(log_dir).rglob("events.out.tfevents.*")):
        data, i = path.read_bytes(), 0
        while i + 12 <= len(data):
            size = struct.unpack("<Q", data[i:i + 8])[0]
            event = list(fields(data[i + 12:i + 12 + size]))
            i += 16 + size
            step = next((value for field, value in event if field == 2), 0)
            for value in (v for field, summary in event if field == 5 for f, v in fields(summary) if f == 1):
                entry = dict(fields(value))
                number = entry.get(2)
                if number is None and 8 in entry:  # a TensorProto: float_val, or its raw bytes
                    proto = dict(fields(entry[8]))
                    number = proto.get(5, proto.get(4))
                if number is not None and len(number) >= 4:
                    found.setdefault(entry[1].decode(), []).append((step, struct.unpack("<f", number[:4])[0]))
    return {tag: [value for _, value in sorted(values)] for tag, values in found.items()}


def rounded(value, digits=7):
    return float(f"{value:.{digits}g}")


def summary_of(log_dir, lora):
    tensors, metadata = read_lora(Path(lora))
    logged = scalars(log_dir)
    return {"loss": [rounded(v) for v in logged.get("loss/current", logged.get("loss", []))],
            "lr": {tag: [rounded(v) for v in values] for tag, values in logged.items() if tag.startswith("lr/")},
            "tags": sorted(logged), "metadata": {k: v for k, v in sorted(metadata.items()) if k not in VOLATILE},
            "tensors": {key: [shape, *(rounded(v, 5) for v in sketch(values))]
                        for key, (shape, values) in sorted(tensors.items())}}


def as_data(value):
    try:
        return json.loads(value)
    except ValueError:
        return value


def differences(found, expected, noise):
    """Lines that say what differs; also prints how far apart the two runs are."""
    problems = []
    if len(found["loss"]) != len(expected["loss"]):
        return [f"{len(found['loss'])} losses, expected {len(expected['loss'])}"]
    loss = max(abs(a - b) / abs(b) for a, b in zip(found["loss"], expected["loss"]))
    if not loss <= LOSS_TOLERANCE:
        problems.append(f"losses {found['loss']}\nexpected {expected['loss']}")
    for tag, values in expected["lr"].items():
        ours = found["lr"].get(tag, [])
        if len(ours) != len(values) or not all(math.isclose(a, b, rel_tol=1e-5) for a, b in zip(ours, values)):
            problems.append(f"{tag}: {found['lr'].get(tag)}, expected {values}")
    if found["tags"] != expected["tags"]:
        problems.append(f"TensorBoard tags {found['tags']}, expected {expected['tags']}")
    if found["tensors"].keys() != expected["tensors"].keys():
        problems.append(f"keys: {sorted(found['tensors'].keys() ^ expected['tensors'].keys())[:6]} on one side only")
    worst, where, squares, norms = 0.0, "", 0.0, 0.0
    for key in found["tensors"].keys() & expected["tensors"].keys():
        (shape, _, ours), (recorded_shape, norm, recorded) = found["tensors"][key], expected["tensors"][key]
        if shape != recorded_shape:
            problems.append(f"{key}: shape {shape}, expected {recorded_shape}")
        elif not (noise and re.search(noise, key)):
            squares, norms = squares + (ours - recorded)**2, norms + norm**2
            difference = abs(ours - recorded) / (norm + 1e-12)
            if difference > worst:
                worst, where = difference, key
    mean = math.sqrt(squares / norms)
    if mean > MEAN_TOLERANCE:
        problems.append(f"tensors differ by {mean:.1e}")
    if worst > TENSOR_TOLERANCE:
        problems.append(f"{where} differs by {worst:.1e}")
    for key, value in expected["metadata"].items():
        if as_data(found["metadata"].get(key, "")) != as_data(value):
            problems.append(f"metadata {key}: {found['metadata'].get(key)!r}, expected {value!r}")
    print(f"relative differences: losses at most {loss:.1e}; tensors {mean:.1e}, at most {worst:.1e} ({where})")
    return problems


def run_case(name, difftune):
    case = read_case(name)
    record = case.get("record", name)
    expected = json.loads(gzip.decompress((HERE / "records" / f"{record}.json.gz").read_bytes()))
    if record != name:
        del expected["metadata"]["ss_sd_model_name"]
    with tempfile.TemporaryDirectory(prefix="difftune_golden_") as folder:
        folder = Path(folder)
        write_inputs(folder, [case.get("family", "sd15")])
        train = ["train_network", *words_of(case), "--reference_quirks"]
        for words in [*map(shlex.split, case.get("prepare", [])), train]:
            code = subprocess.run([difftune, *words], cwd=folder, check=False).returncode
            if code != 0:
                return code
        problems = differences(summary_of(folder / "logs", folder / "out" / "lora.safetensors"), expected,
                               case.get("noise"))
    print("\n".join(problems) or "held")
    return 1 if problems else 0


def main():
    match sys.argv[1:]:
        case ["--inputs", folder]:
            write_inputs(Path(folder), ["sd15", "sd21"])
        case ["--names"]:
            print(*tomllib.loads((HERE / "cases.toml").read_text()), sep="\n")
        case ["--words", name]:
            print(shlex.join(words_of(read_case(name))))
        case ["--record", name, log_dir, lora]:
            text = json.dumps(summary_of(log_dir, lora), separators=(",", ":"))
            (HERE / "records" / f"{name}.json.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
        case [name, difftune] if not name.startswith("-"):
            sys.exit(run_case(name, str(Path(difftune).resolve())))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
