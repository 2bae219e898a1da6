"""Repeats a recorded training run of sd-scripts with difftune and compares it: golden_run.py CASE DIFFTUNE

The records lie beside the checkout, in ../shared/reference (see its README). Needs numpy, 6 GB of memory and 6 GB in the
temporary folder; a run takes minutes.
  DIFFTUNE_PARITY       unset or "quick": the losses of the first three steps; "full": every step, weight and metadata
                        entry; "0": skip
  DIFFTUNE_PARITY_DIR   a folder in which the synthetic checkpoints are kept for the next time
Exit code 77 (ctest: skipped) where the records or numpy are missing.
"""
import importlib.util
import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

SKIPPED = 77
QUICK_STEPS = 3
REFERENCE = Path(__file__).resolve().parents[3] / "shared" / "reference"
LAYOUTS = {"sd15_lora": ("sd15_ldm.json", "synth_sd15.safetensors"), "sd21_lora": ("sd21_ldm.json", "synth_sd21.safetensors")}


def skip(reason):
    print("skipped:", reason)
    sys.exit(SKIPPED)


def python(script, *args):
    return subprocess.run([sys.executable, REFERENCE / script, *map(str, args)], check=False).returncode


def make_checkpoint(folder, layout, name):
    """Written under another name first, so that a kept folder never holds half a file."""
    if (folder / name).exists():
        return
    part = folder / f"{name}.{os.getpid()}.part"
    if python("synth.py", REFERENCE / "layouts" / layout, part, "--dtype", "float16") != 0:
        sys.exit("synth.py failed")
    part.rename(folder / name)


def words_of(case, mode):
    words = shlex.split(json.loads((REFERENCE / "golden" / f"{case}.json").read_text())["command"])
    if mode == "quick":
        words[words.index("--max_train_steps") + 1] = str(QUICK_STEPS)
    return words


def run(case, difftune, mode, folder):
    layout, checkpoint = LAYOUTS[case]
    words = words_of(case, mode)
    assert words[words.index("--pretrained_model_name_or_path") + 1] == checkpoint, words
    make_checkpoint(folder, layout, checkpoint)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        work = Path(work)
        (work / checkpoint).symlink_to(folder / checkpoint)
        (work / "golden").symlink_to(REFERENCE / "golden")
        options = ["--output_name", case, "--logging_dir", "logs", "--reference_quirks"]
        code = subprocess.run([difftune, *words, *options], cwd=work, check=False).returncode
        if code != 0:
            return code
        steps = ["--steps", QUICK_STEPS] if mode == "quick" else []
        lora = work / words[words.index("--output_dir") + 1] / f"{case}.safetensors"
        return python("golden.py", "check", work / "logs", lora, REFERENCE / "golden" / f"{case}.json", *steps)


def main():
    case, difftune = sys.argv[1], str(Path(sys.argv[2]).resolve())
    mode = os.environ.get("DIFFTUNE_PARITY", "quick")
    if mode == "0":
        skip("DIFFTUNE_PARITY=0")
    if mode not in ("quick", "full"):
        sys.exit(f"DIFFTUNE_PARITY={mode}: expected 0, quick or full")
    if not (REFERENCE / "golden" / f"{case}.json").exists():
        skip(f"{REFERENCE} does not hold {case}")
    if importlib.util.find_spec("numpy") is None:
        skip(f"{sys.executable} has no numpy")
    kept = os.environ.get("DIFFTUNE_PARITY_DIR")
    if kept:
        Path(kept).mkdir(parents=True, exist_ok=True)
        sys.exit(run(case, difftune, mode, Path(kept).resolve()))
    with tempfile.TemporaryDirectory(prefix="difftune_parity_") as folder:
        code = run(case, difftune, mode, Path(folder))
    sys.exit(code)


if __name__ == "__main__":
    main()
