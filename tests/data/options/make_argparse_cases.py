"""Writes argparse_cases.json: what Python's argparse makes of command lines with the options of train_network.json.

    python make_argparse_cases.py

Each case has the words, and "values" (what differs from the defaults), "help" or "error". difftune must agree, except
that it also takes numbers such as -1e-4 as values (argparse takes them for options), and refuses values out of range.
"""

import argparse
import contextlib
import io
import json
import pathlib
import random

FOLDER = pathlib.Path(__file__).parent


def count_or_share(text):
    if text.endswith("%"):
        return float(text[:-1]) / 100.0
    return float(text) if float(text) < 1 else int(text)


TYPES = {"str": str, "int": int, "float": float, "Path": str, "int_or_float": count_or_share}


def make_parser():
    parser = argparse.ArgumentParser(prog="train_network", exit_on_error=True)
    for option in json.loads((FOLDER / "train_network.json").read_text()):
        if option["action"] == "StoreTrue":
            parser.add_argument(*option["names"], action="store_true")
            continue
        extra = {key: option[key] for key in ("nargs", "choices") if key in option}
        parser.add_argument(*option["names"], type=TYPES[option["type"]], default=option.get("default"), **extra)
    return parser


def run(parser, defaults, words):
    try:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            found = vars(parser.parse_args(words))
    except SystemExit as e:
        return {"words": words, "help" if e.code == 0 else "error": True}
    values = {k: v for k, v in found.items() if v != defaults[k] or type(v) is not type(defaults[k])}
    return {"words": words, "values": values}


BY_HAND = [
    [],
    ["--help"],
    ["-h"],
    ["--h"],
    ["--he"],
    ["--seed", "1", "--seed", "2"],
    ["--seed=7"],
    ["--see", "7"],
    ["--cap", "x"],
    ["--network_a", "1"],
    ["--network_al", "1"],
    ["--network_args", "a=1", "b=2", "--v2", "c=3"],
    ["--network_args", "a=1", "b=2"],
    ["--network_args"],
    ["--network_args=a=1"],
    ["--network_args=a=1", "b=2"],
    ["--network_args", "a=1", "--network_args", "b=2"],
    ["--optimizer_args", "weight_decay=0.1", "betas=.9,.99", "--lr_warmup_steps=10%"],
    ["--text_encoder_lr", "1e-4", "2e-4"],
    ["--text_encoder_lr", "1e-4", "x"],
    ["--noise_offset", "-0.1"],
    ["--noise_offset", "-.5"],
    ["--noise_offset", "-1"],
    ["--noise_offset=-1e-4"],
    ["--base_weights_multiplier", "-1", "0.5", "-0.25"],
    ["--caption_prefix", "-x"],
    ["--caption_prefix", "-a b"],
    ["--caption_prefix", "--a b"],
    ["--caption_prefix", "--not=an option"],
    ["--caption_prefix=--x"],
    ["--caption_prefix", ""],
    ["--caption_separator="],
    ["--caption_separator", ""],
    ["--caption_prefix", "-"],
    ["--caption_prefix", "--"],
    ["--", "x"],
    ["--v2=true"],
    ["--v2", "true"],
    ["--v2", "--v2"],
    ["--resolution", "512", "768"],
    ["--resolution"],
    ["--resolution", "--v2"],
    ["stray"],
    ["--lr_warmup_steps", "0"],
    ["--lr_warmup_steps", "0.1"],
    ["--lr_warmup_steps", "10"],
    ["--lr_warmup_steps", "10.5"],
    ["--lr_warmup_steps", "1e3"],
    ["--lr_warmup_steps", "5%"],
    ["--lr_warmup_steps", "x%"],
    ["--lr_warmup_steps", "many"],
    ["--max_train_steps", "1_000"],
    ["--max_train_steps", "1__000"],
    ["--max_train_steps", " 12 "],
    ["--max_train_steps", "+12"],
    ["--max_train_steps", "1.0"],
    ["--max_train_steps", "0x10"],
    ["--max_train_steps", ""],
    ["--learning_rate", "1e-4"],
    ["--learning_rate", "+.5"],
    ["--learning_rate", "1_0.0"],
    ["--learning_rate", "5."],
    ["--learning_rate", "1e"],
    ["--learning_rate", "1,5"],
    ["--mixed_precision", "fp8"],
    ["--mixed_precision", "bf16"],
    ["--max_token_length", "150"],
    ["--max_token_length", "75"],
    ["--save_precision", "None"],
    ["--zero_stage", "3"],
    ["--zero_stage", "4"],
    ["--unknown"],
    ["--unknown", "1"],
    ["--learning-rate", "1"],
    ["-v2"],
    ["-x"],
    ["-1"],
    ["--dataset_config", "a b.toml", "--output_dir", "ü/ö"],
    ["--v"],
    ["--va", "x.pt"],
    ["--vae", "x.pt"],
    ["--config", "x.toml"],
]

POOLS = {
    "str": ["a", "x y", "1", "-5", "a=b", "日本"],
    "Path": ["d.toml", "a/b c.toml"],
    "int": ["1", "3", "007", "12", "5", "2.0"],
    "float": ["0.5", "1", "1e-1", ".25", "1.", "x"],
    "int_or_float": ["0.5", "3", "25%", "3.5"],
}


def random_line(options, rng):
    words = []
    for option in rng.sample(options, rng.randint(1, 4)):
        name = option["names"][0]
        if rng.random() < 0.2:
            name = name[: max(4, len(name) - rng.randint(1, 4))]
        if option["action"] == "StoreTrue":
            words.append(name)
            continue
        pool = POOLS[option["type"]]
        if "choices" in option:
            pool = [str(c) for c in option["choices"] if c is not None] + ["wrong"]
        values = [rng.choice(pool) for _ in range(rng.randint(0, 3) if "nargs" in option else (rng.random() < 0.95))]
        if len(values) == 1 and rng.random() < 0.3:
            words.append(f"{name}={values[0]}")
        else:
            words += [name] + values
    return words


def main():
    parser = make_parser()
    defaults = vars(parser.parse_args([]))
    options = json.loads((FOLDER / "train_network.json").read_text())
    rng = random.Random(0)
    lines = BY_HAND + [random_line(options, rng) for _ in range(700)]
    cases = [run(parser, defaults, words) for words in lines]
    text = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    (FOLDER / "argparse_cases.json").write_text(f"[\n{text}\n]\n", encoding="utf-8")
    print(len(cases), "cases,", sum("error" in c for c in cases), "errors")


main()
