#!/usr/bin/env python3
"""Takes command line and metadata of recorded LoRA runs out of their cases: make_metadata.py CASE.json...

The cases are those of the project's reference folder (golden/sd15_lora.json, golden/sd21_lora.json).
"""
import json
import pathlib
import sys

for case in map(pathlib.Path, sys.argv[1:]):
    recorded = json.loads(case.read_text())
    kept = {"command": recorded["command"], "metadata": dict(sorted(recorded["metadata"].items()))}
    target = pathlib.Path(__file__).parent / f"{case.stem}_metadata.json"
    target.write_text(json.dumps(kept, indent=1) + "\n")
