#!/usr/bin/env python3
"""Runs weight tools of difftune and of an sd-scripts checkout side by side on the same files: time on the clock, time of
processors, largest memory.

    compare_weight_tools.py --sd_scripts FOLDER --work FOLDER [--python PYTHON] [--difftune PROGRAM]
        [--checkpoint SD1 --tuned SD1_TUNED] [--lora LORA --other_lora LORA] [--flux FLUX --flux_lora LORA] [--runs N] [--sd_scripts_runs N] [CASE ...]

PYTHON is one that sd-scripts runs with. A case whose files are not given is left out. The run of median time is shown.
Outputs go to --work and are removed. Standard library only."""

import argparse
import os
import sys
from pathlib import Path

from side_by_side import measure

MERGED = ("--ratios", "0.7", "--save_precision", "fp16")


def cases(a):
    """{case: (command, words, files that must be given)}"""
    return {
        "merge": ("merge_lora", ["--sd_model", a.checkpoint, "--models", a.lora, *MERGED], (a.checkpoint, a.lora)),
        "merge_flux": ("flux_merge_lora", ["--flux_model", a.flux, "--models", a.flux_lora, "--ratios", "0.7",
                                           "--save_precision", "bf16"], (a.flux, a.flux_lora)),
        "extract": ("extract_lora_from_models", ["--model_org", a.checkpoint, "--model_tuned", a.tuned, "--dim", "4"],
                    (a.checkpoint, a.tuned)),
        "resize": ("resize_lora", ["--model", a.lora, "--new_rank", "2", "--save_precision", "fp16"], (a.lora,)),
        "svd_merge": ("svd_merge_lora", ["--models", a.lora, a.other_lora, "--ratios", "0.7", "0.4", "--new_rank", "4"],
                      (a.lora, a.other_lora)),
    }


def median(words, output, num_runs, environment=None):
    """Seconds on the clock and of processors and MiB, of the run with the median clock. Each writes a new `output`."""
    def run():
        output.unlink(missing_ok=True)
        return measure([*words, "--save_to", output], environment)[:3]

    return sorted(run() for _ in range(num_runs))[num_runs // 2]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("sd_scripts", "work"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--difftune", default="build/difftune")
    for name in ("checkpoint", "tuned", "flux", "flux_lora", "lora", "other_lora"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--runs", type=int, default=3, help="of difftune")
    parser.add_argument("--sd_scripts_runs", type=int, help="of sd-scripts; as many without it")
    parser.add_argument("case", nargs="*", help="cases to run; all without it")
    a = parser.parse_args()
    environment = os.environ | {"PYTHONPATH": f"{a.sd_scripts}:{a.sd_scripts / 'networks'}", "CUDA_VISIBLE_DEVICES": ""}
    print(f"{'case':12} {'':10} {'s':>8} {'s of processors':>16} {'MiB':>8}")
    for case, (command, words, needed) in cases(a).items():
        if None in needed or (a.case and case not in a.case):
            continue
        output = a.work / f"{case}.safetensors"
        ours = median([a.difftune, command, *words], output, a.runs)
        theirs = median([a.python, a.sd_scripts / "networks" / f"{command}.py", *words], output,
                        a.sd_scripts_runs or a.runs, environment)
        output.unlink()
        for name, (clock, processors, memory) in (("difftune", ours), ("sd-scripts", theirs)):
            print(f"{case:12} {name:10} {clock:8.1f} {processors:16.1f} {memory:8.0f}")
        print(f"{case:12} {'ratio':10} {theirs[0] / ours[0]:8.1f} {theirs[1] / ours[1]:16.1f} {theirs[2] / ours[2]:8.1f}",
              flush=True)


if __name__ == "__main__":
    main()
