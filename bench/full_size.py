#!/usr/bin/env python3
"""Trains a LoRA on a model of published size with random weights and prints a row: seconds for encoding, seconds per
step, memory.

    full_size.py FAMILY --work FOLDER [--keep] [--steps N] [--pictures N] [--difftune PROGRAM] [--files PROGRAM]
        [--tokenizer_cache_dir FOLDER] [-- MORE OPTIONS OF THE TRAINING]

FAMILY: sdxl, flux, chroma, sd35_large or lumina. The model's files come from difftune_full_size_files (build it by
`cmake --build build --target difftune_full_size_files`) and go to FOLDER, where FLUX.1 takes 34 GB; they are removed
afterwards unless --keep is given. Pictures of 256 px, a batch of one, rank 4, bf16; latents and what the text encoders
say are cached before. Lumina's captions are cut into tokens with Gemma's tokenizer where its folder is given, else with
a small one of the tests. Standard library only.

Memory is read from /proc each tenth of a second: `peak` counts pages of mapped files (VmHWM), which the kernel may take
back at any time; `own` does not (the most of RssAnon)."""

import argparse
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent / "tests"
sys.path.insert(0, str(TESTS / "golden"))
import inputs  # noqa: E402

CAPTIONS = ["a red flower with dew on its petals, close up, morning light in a garden",
            "two cats playing on a wooden floor, indoors, warm evening light"]
COMMON = ["--mixed_precision", "bf16", "--cache_latents", "--cache_text_encoder_outputs", "--network_train_unet_only",
          "--network_dim", "4", "--network_alpha", "2", "--learning_rate", "1e-4", "--optimizer_type", "AdamW",
          "--resolution", "256", "--train_batch_size", "1", "--max_data_loader_n_workers", "0", "--seed", "42"]
MODULES = {"sdxl": "networks.lora", "flux": "networks.lora_flux", "chroma": "networks.lora_flux",
           "sd35_large": "networks.lora_sd3", "lumina": "networks.lora_lumina"}


def gemma_tokenizer(work):
    folder = work / "tokenizers" / "google_gemma-2-2b"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(TESTS / "data/text/small_gemma.model", folder / "tokenizer.model")
    return folder.parent


def write_pictures(folder, count):
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        (folder / f"{i}.png").write_bytes(inputs.png(256, 256, f"full size {i}"))
        (folder / f"{i}.txt").write_text(CAPTIONS[i % len(CAPTIONS)])


class Memory(threading.Thread):
    """The largest values of a process's /proc/PID/status, in GiB."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.status, self.most = Path(f"/proc/{pid}/status"), {}
        self.start()

    def run(self):
        while True:
            try:
                text = self.status.read_text()
            except OSError:
                return
            for key in ("VmHWM", "RssAnon", "RssFile"):
                if found := re.search(rf"^{key}:\s+(\d+) kB", text, re.M):
                    self.most[key] = max(self.most.get(key, 0), int(found[1]) / 2**20)
            time.sleep(0.1)


def train(words):
    """(seconds, the program's lines with the second at which each came, Memory)"""
    begun = time.monotonic()
    process = subprocess.Popen([str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    memory, lines = Memory(process.pid), []
    for line in process.stdout:
        lines.append((time.monotonic() - begun, line.rstrip()))
        print(f"{lines[-1][0]:7.1f} {lines[-1][1]}", flush=True)
    if process.wait():
        sys.exit(f"difftune ended with {process.returncode}")
    return time.monotonic() - begun, lines, memory


def last_progress(lines, label):
    """Seconds per unit by the last line of a progress bar, or nan."""
    for _, line in reversed(lines):
        if found := re.search(rf"{label}: .*, ([\d.]+)(s/|\w+/s)", line):
            return float(found[1]) if found[2] == "s/" else 1 / float(found[1])
    return float("nan")


def main():
    words, more = sys.argv[1:], []
    if "--" in words:
        words, more = words[:words.index("--")], words[words.index("--") + 1:]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("family", choices=MODULES)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--pictures", type=int, default=2)
    parser.add_argument("--difftune", default="build/difftune")
    parser.add_argument("--files", default="build/bench/difftune_full_size_files")
    parser.add_argument("--tokenizer_cache_dir", type=Path)
    a = parser.parse_args(words)

    model, output = a.work / "model", a.work / "output"
    named = subprocess.run([a.files, a.family, model], check=True, stdout=subprocess.PIPE, text=True).stdout.split("\n")
    os.sync()
    write_pictures(a.work / f"{a.pictures}_pictures" / "1_thing", a.pictures)
    command = [a.difftune, *named[:-1], *COMMON, "--network_module", MODULES[a.family], "--max_train_steps", a.steps,
               "--train_data_dir", a.work / f"{a.pictures}_pictures", "--caption_extension", ".txt", "--output_dir",
               output, "--output_name", a.family]
    if a.family == "lumina":
        command += ["--tokenizer_cache_dir", a.tokenizer_cache_dir or gemma_tokenizer(a.work)]
    seconds, lines, memory = train(command + more)
    saved = output / f"{a.family}.safetensors"
    print(f"| {' '.join([a.family, *more])} | {last_progress(lines, 'outputs'):.1f} s a caption | "
          f"{last_progress(lines, 'steps'):.1f} s a step | {seconds:.0f} s in all | peak {memory.most['VmHWM']:.1f} GiB | "
          f"own {memory.most['RssAnon']:.2f} GiB | LoRA of {saved.stat().st_size} bytes |")
    shutil.rmtree(output)
    if not a.keep:
        shutil.rmtree(model)


if __name__ == "__main__":
    main()
