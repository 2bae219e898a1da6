"""Checkpoints, precision and the output folder."""

import subprocess
from pathlib import Path

from harness import DIFFTUNE, SD1_SHAPES, SDXL_SHAPES, CliTest, main, safetensors

SMALL_MODEL = Path(__file__).resolve().parent.parent / "data" / "generate"


class Checkpoint(CliTest):
    def test_not_named(self):
        self.assert_refused(lambda: self.plan(pretrained_model_name_or_path=None), "--pretrained_model_name_or_path",
                            code=2)

    def test_missing(self):
        self.assert_refused(lambda: self.plan(pretrained_model_name_or_path="nowhere.safetensors"),
                            "nowhere.safetensors", "no such file")

    def test_name_on_a_hub(self):
        self.assert_refused(lambda: self.plan(pretrained_model_name_or_path="someone/some-model"), "someone/some-model",
                            "not downloaded")

    def test_folder_of_something_else(self):
        self.assert_refused(lambda: self.plan(pretrained_model_name_or_path=self.images), self.images, "Diffusers")

    def test_truncated(self):
        content = safetensors(SD1_SHAPES)
        self.model.write_bytes(content[:-100])
        self.assert_refused(self.plan, self.model, "truncated", f"{len(content)} bytes expected",
                            f"{len(content) - 100} found")

    def test_truncated_in_the_header(self):
        self.model.write_bytes(safetensors(SD1_SHAPES)[:50])
        self.assert_refused(self.plan, self.model, "truncated")

    def test_header_that_lies(self):
        self.model.write_bytes(safetensors(SD1_SHAPES, shift=1 << 40))
        self.assert_refused(self.plan, self.model, "header is wrong")

    def test_not_safetensors(self):
        self.model.write_bytes(b"<!DOCTYPE html><html>sign in</html>" * 20)
        self.assert_refused(self.plan, self.model)

    def test_empty(self):
        self.model.write_bytes(b"")
        self.assert_refused(self.plan, self.model)

    def test_other_family(self):
        self.model.write_bytes(safetensors(SDXL_SHAPES))
        self.assert_refused(self.plan, self.model, "Stable Diffusion XL", "sdxl_train_network")

    def test_lora_for_a_checkpoint(self):
        self.model.write_bytes(safetensors({"lora_unet_mid_block.lora_down.weight": [4, 32]}))
        self.assert_refused(self.plan, self.model, "LoRA")

    def test_unknown_tensors(self):
        self.model.write_bytes(safetensors({"weight": [4]}))
        self.assert_refused(self.plan, self.model, "not a checkpoint of a known model family")

    def test_v2_of_a_v1_checkpoint(self):
        self.assert_refused(lambda: self.plan("--v2"), self.model, "1.x", "--v2", code=2)

    def test_missing_tensor(self):
        shapes = dict(SD1_SHAPES)
        del shapes["first_stage_model.encoder.conv_out.weight"]
        self.model.write_bytes(safetensors(shapes))
        self.assert_refused(self.plan, self.model, "first_stage_model.encoder.conv_out.weight")


class Run(CliTest):
    def test_half_precision_on_a_cpu(self):
        self.assert_refused(lambda: self.plan(mixed_precision="fp16"), "fp16", "bf16", code=2)

    def test_output_folder_below_a_file(self):
        self.assert_refused(lambda: self.plan(output_dir=self.model / "out"), self.model / "out", "--output_dir")

    def test_full_disk(self):
        on_small_disk = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=64k none "$0" && exec "$@"', self.out]
        if subprocess.run([*on_small_disk, "true"], check=False, stderr=subprocess.DEVNULL).returncode != 0:
            self.skipTest("a small disk needs the right to mount one")
        words = self.options(pretrained_model_name_or_path=SMALL_MODEL / "model",
                             tokenizer_cache_dir=SMALL_MODEL / "tokenizer")
        self.assert_refused(lambda: subprocess.run([*on_small_disk, DIFFTUNE, "train_network", *words],
                                                   capture_output=True, text=True, check=False), self.out, "MiB are free")

    def test_network_argument(self):
        self.assert_refused(lambda: self.plan("--network_args", "conv_dimm=4"), "conv_dimm", "conv_dim", code=2)

    def test_state_that_does_not_exist(self):
        self.assert_refused(lambda: self.plan(resume="nowhere-state"), "nowhere-state")

    def test_weights_that_do_not_exist(self):
        self.assert_refused(lambda: self.plan(network_weights="nowhere.safetensors"), "nowhere.safetensors")


if __name__ == "__main__":
    main()
