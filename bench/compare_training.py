#!/usr/bin/env python3
"""Runs a training command with difftune and with an sd-scripts checkout, one after the other: time of the whole run, time
of a step as the progress bar says it at the end, largest memory.

    compare_training.py --sd_scripts FOLDER --case FILE [--work FOLDER] [--python PYTHON] [--difftune PROGRAM]
        [--precision no|bf16] [--rounds N] [--starter SCRIPT]

FILE is a recorded case (golden/CASE.json): its "command" is run in --work, where its checkpoints and its data lie, with
--mixed_precision changed to --precision if that is given. PYTHON is one that sd-scripts runs with; SCRIPT runs
`SCRIPT train_network.py OPTION...` in its place where something has to be patched. Of N rounds the fastest run of each
program counts. Nothing else should run on the machine. Standard library only."""

import argparse
import json
import os
import re
import shlex
import sys
from pathlib import Path

from side_by_side import measure

# The last state of a bar: "steps: 100% 10/10 [00:08<00:00, 1.32it/s"; slow steps are given as seconds.
RATE = re.compile(r"steps: +100%.*?([\d.]+)(it/s|s/it)")


def seconds_per_step(said):
    rates = RATE.findall(said)
    if not rates:
        sys.exit("the progress bar did not reach its end")
    value, unit = float(rates[-1][0]), rates[-1][1]
    return value if unit == "s/it" else 1 / value


def run(words, folder, environment=None):
    clock, _, memory, said = measure(words, environment, folder)
    return clock, seconds_per_step(said), memory


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("sd_scripts", "case"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path())
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--difftune", type=Path, default=Path("build/difftune"))
    parser.add_argument("--precision", choices=("no", "bf16"))
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--starter", type=Path)
    a = parser.parse_args()

    command, *words = shlex.split(json.loads(a.case.read_text())["command"])
    if a.precision:
        words[words.index("--mixed_precision") + 1] = a.precision
    words += ["--output_name", "compared", "--logging_dir", "compared_logs"]
    environment = os.environ | {"PYTHONPATH": str(a.sd_scripts.resolve()), "CUDA_VISIBLE_DEVICES": ""}
    script = [a.starter.resolve(), f"{command}.py"] if a.starter else [a.sd_scripts.resolve() / f"{command}.py"]
    ours, theirs = [], []
    for _ in range(a.rounds):
        ours.append(run([a.difftune.resolve(), command, *words, "--reference_quirks"], a.work))
        theirs.append(run([a.python, *script, *words], a.work, environment))

    print(f"{a.case.stem}, --mixed_precision {words[words.index('--mixed_precision') + 1]}, fastest of {a.rounds}")
    print(f"{'':12} {'run, s':>8} {'step, s':>8} {'MiB':>8}")
    fastest = [[min(column) for column in zip(*runs)] for runs in (ours, theirs)]
    for name, (clock, step, memory) in zip(("difftune", "sd-scripts"), fastest):
        print(f"{name:12} {clock:8.1f} {step:8.2f} {memory:8.0f}")
    print(f"{'ratio':12} " + " ".join(f"{mine / other:8.2f}" for mine, other in zip(*fastest)))


if __name__ == "__main__":
    main()
