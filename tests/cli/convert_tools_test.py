"""The commands that convert, join and inspect files of weights: what they write, and what they say of bad input."""

import json
import os
import signal
import subprocess
import time
import unittest
from pathlib import Path

import harness
from harness import DIFFTUNE
from weight_files import pack, unpack

OPTIONS = Path(__file__).resolve().parent.parent / "data" / "options"
COMMANDS = ["check_lora_weights", "convert_diffusers20_original_sd", "convert_diffusers_to_flux", "convert_flux_lora",
            "merge_models", "merge_sd3_safetensors", "show_metadata"]
UNET = "model.diffusion_model.w"


class ToolTest(harness.CliTest):
    def tensors(self, name, tensors, metadata=None):
        return self.write(name, pack(tensors, metadata))

    def assert_done(self, *words):
        result = self.run_difftune(*words)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result

    def assert_tool_refuses(self, words, *parts, code=1):
        self.assert_refused(lambda: self.run_difftune(*words), *parts, code=code)


class OptionsTest(ToolTest):
    def test_every_option_of_the_reference_is_declared(self):
        for command in COMMANDS:
            declared = self.assert_done(command, "--help").stdout
            names = ["--model"] if command == "show_metadata" else [
                name for option in json.loads((OPTIONS / f"{command}.json").read_text()) for name in option["names"]]
            for name in names + ["--dry_run"]:
                self.assertRegex(declared, rf"(?m)^  (-\w, )?{name}\b", f"{command} {name}")

    def test_a_misspelled_option_gets_the_nearest(self):
        self.assert_tool_refuses(["merge_models", "--ratio5", "1"], "--ratio5", "--ratios", code=2)
        self.assert_tool_refuses(["check_lora_weights", "a", "b"], "'b' is one word too many", code=2)

    def test_what_is_required_is_asked_for(self):
        for command, name in [("merge_models", "--models"), ("merge_sd3_safetensors", "--dit"), ("show_metadata", "--model"),
                              ("convert_flux_lora", "--src_path"), ("convert_diffusers_to_flux", "--save_to"),
                              ("check_lora_weights", "file"), ("convert_diffusers20_original_sd", "model_to_load")]:
            self.assert_tool_refuses([command], name, code=2)


class MergeModelsTest(ToolTest):
    def setUp(self):
        super().setUp()
        self.a = self.tensors("a.safetensors", {UNET: ([2], [1.0, 2.0]), "first_stage_model.w": ([1], 5.0)})
        self.b = self.tensors("b.safetensors", {UNET: ([2], [3.0, 6.0]), "first_stage_model.w": ([1], 7.0)})
        self.merged = self.folder / "merged.safetensors"

    def merge(self, *words):
        return ["merge_models", "--models", self.a, self.b, "--output", self.merged, *words]

    def test_sum(self):
        said = self.assert_done(*self.merge("--ratios", "0.25", "0.75")).stderr
        tensors, metadata = unpack(self.merged)
        self.assertEqual(tensors[UNET].values, [2.5, 5.0])
        self.assertEqual(tensors["first_stage_model.w"].values, [6.5])
        self.assertIsNone(metadata)
        self.assertIn("merged 2 tensors of 2 models into", said)

    def test_precision_unet_only_and_the_ending(self):
        self.assert_done("merge_models", "--models", self.a, self.b, "--output", self.folder / "merged", "--unet_only",
                         "--saving_precision", "fp16")
        tensors, _ = unpack(self.merged)
        self.assertEqual(tensors[UNET].dtype, "F16")
        self.assertEqual(tensors[UNET].values, [2.0, 4.0])
        self.assertEqual(tensors["first_stage_model.w"].values, [5.0])

    def test_dry_run_writes_nothing(self):
        before = self.files()
        self.assertIn("would merge", self.assert_done(*self.merge("--dry_run")).stderr)
        self.assertEqual(self.files(), before)

    def test_skipped_tensors_are_listed(self):
        self.tensors("b.safetensors", {UNET: ([2], 0.0), "first_stage_model.w": ([1], 0.0), "extra": ([1], 0.0)})
        self.assertIn("extra", self.assert_done(*self.merge("--show_skipped")).stderr)

    def test_bad_input(self):
        self.assert_tool_refuses(self.merge("--ratios", "1"), "--ratios has 1 numbers for 2", code=2)
        self.assert_tool_refuses(self.merge("--precision", "fp8"), "--precision", "bf16", code=2)
        self.assert_tool_refuses(["merge_models", "--models", self.a, self.b, "--output", self.a], "a.safetensors",
                                 "also an input")
        self.assert_tool_refuses(["merge_models", "--models", self.a, self.folder / "none.safetensors", "--output",
                                  self.merged], "none.safetensors", "no such file")
        self.tensors("b.safetensors", {UNET: ([3], 0.0)})
        self.assert_tool_refuses(self.merge(), UNET, "[3]", "[2]")
        self.tensors("b.safetensors", {UNET: ([2], [1.0, float("nan")]), "first_stage_model.w": ([1], 0.0)})
        self.assert_tool_refuses(self.merge(), "b.safetensors", UNET, "NaN")
        self.tensors("b.safetensors", {UNET: ([2], 1e6), "first_stage_model.w": ([1], 0.0)})
        self.assert_tool_refuses(self.merge("--saving_precision", "fp16"), UNET, "float16", "bf16")
        self.tensors("b.safetensors", {"other": ([2], 1.0)})
        self.assert_tool_refuses(self.merge(), "no tensor in common")
        self.b.write_bytes(self.a.read_bytes()[:-3])
        self.assert_tool_refuses(self.merge(), "b.safetensors", "truncated")

    def test_a_full_disk_leaves_no_file(self):
        if os.geteuid() != 0:
            self.skipTest("needs a small file system")
        small = self.folder / "small"
        small.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "none", small], capture_output=True).returncode:
            self.skipTest("needs a small file system")
        try:
            big = {UNET: ([20000], 1.0)}
            self.tensors("a.safetensors", big)
            self.tensors("b.safetensors", big)
            self.merged = small / "merged.safetensors"
            self.assert_tool_refuses(self.merge(), "merged.safetensors", "free")
        finally:
            subprocess.run(["umount", small], check=False)

    def test_killed_in_the_middle_the_old_file_stays(self):
        big = {f"model.diffusion_model.{i}": ([1 << 20], 1.0) for i in range(40)}
        self.tensors("a.safetensors", big)
        self.tensors("b.safetensors", big)
        self.merged.write_bytes(b"old")
        for sent, code in [(signal.SIGINT, 1), (signal.SIGKILL, -signal.SIGKILL)]:
            process = subprocess.Popen([DIFFTUNE, *map(str, self.merge())], stderr=subprocess.PIPE, cwd=self.folder)
            while process.poll() is None and not list(self.folder.glob("merged*.difftune-tmp")):
                time.sleep(0.001)
            process.send_signal(sent)
            said = process.communicate()[1].decode()
            self.assertEqual(process.returncode, code, said)
            self.assertEqual(self.merged.read_bytes(), b"old")
            if sent == signal.SIGINT:
                self.assertIn("nothing was written", said)
                self.assertEqual(list(self.folder.glob("*.difftune-tmp")), [])
        # What the kill left behind is gone with the next run.
        self.assert_done(*self.merge())
        self.assertEqual(list(self.folder.glob("*.difftune-tmp")), [])
        self.assertGreater(self.merged.stat().st_size, 40 << 22)


class MergeSd3Test(ToolTest):
    def setUp(self):
        super().setUp()
        self.dit = self.tensors("dit.safetensors", {"joint_blocks.0.w": ([1], 1.0), "first_stage_model.v": ([1], 2.0)},
                                {"modelspec.title": "t"})
        self.clip = self.tensors("clip.safetensors", {"text_model.w": ([1], 3.0)})

    def test_joins_under_prefixes(self):
        self.assert_done("merge_sd3_safetensors", "--dit", self.dit, "--clip_l", self.clip, "--output", "all.safetensors")
        tensors, metadata = unpack(self.folder / "all.safetensors")
        self.assertEqual(list(tensors), ["first_stage_model.v", "model.diffusion_model.joint_blocks.0.w",
                                         "text_encoders.clip_l.transformer.text_model.w"])
        self.assertEqual(metadata, {"modelspec.title": "t"})

    def test_fp8_and_dry_run(self):
        words = ["merge_sd3_safetensors", "--dit", self.dit, "--save_precision", "fp8"]
        self.assert_done(*words, "--dry_run")
        self.assertFalse((self.folder / "merged_model.safetensors").exists())
        self.assert_done(*words)
        self.assertEqual({tensor.dtype for tensor in unpack(self.folder / "merged_model.safetensors")[0].values()}, {"F8_E4M3"})

    def test_bad_input(self):
        words = ["merge_sd3_safetensors", "--dit", self.dit, "--output"]
        self.assert_tool_refuses([*words, self.dit], "also an input")
        self.assert_tool_refuses([*words, "o.safetensors", "--save_precision", "fp9"], "fp9", "fp8_e4m3fn", code=2)
        self.assert_tool_refuses([*words, "o.safetensors", "--vae", "none"], "none", "no such file")


class ConvertFluxTest(ToolTest):
    def block(self, left_out=(), height=2):
        block = "transformer_blocks.0."
        names = ["attn.to_q.weight", "attn.to_k.weight", "attn.to_v.weight"]
        tensors = {block + name: ([2, 1], float(i)) for i, name in enumerate(names) if name not in left_out}
        if "attn.to_v.weight" in names and height != 2:
            tensors[block + "attn.to_v.weight"] = ([height, 1], 2.0)
        return tensors | {"norm_out.linear.bias": ([2], [1.0, 2.0])}

    def convert(self, *words):
        return ["convert_diffusers_to_flux", "--diffusers_path", self.source, "--save_to", "flux.safetensors", *words]

    def test_joins_and_swaps(self):
        self.source = self.tensors("transformer.safetensors", self.block())
        self.assert_done(*self.convert("--save_precision", "float32"))
        tensors, _ = unpack(self.folder / "flux.safetensors")
        self.assertEqual(tensors["double_blocks.0.img_attn.qkv.weight"].values, [0, 0, 1, 1, 2, 2])
        self.assertEqual(tensors["final_layer.adaLN_modulation.1.bias"].values, [2.0, 1.0])

    def test_three_files_without_an_index(self):
        tensors = sorted(self.block().items())
        for i in range(3):
            self.tensors(f"m/transformer/diffusion_pytorch_model-0000{i + 1}-of-00003.safetensors",
                         dict(tensors[i::3]))
        self.source = self.folder / "m"
        self.assert_done(*self.convert("--mem_eff_load_save"))
        first = (self.folder / "flux.safetensors").read_bytes()
        self.source = self.folder / "m/transformer/diffusion_pytorch_model-00001-of-00003.safetensors"
        self.assert_done(*self.convert("--mem_eff_load_save"))
        self.assertEqual((self.folder / "flux.safetensors").read_bytes(), first)
        (self.folder / "m/transformer/diffusion_pytorch_model-00003-of-00003.safetensors").unlink()
        self.assert_tool_refuses(self.convert(), "00003-of-00003", "no such file")

    def test_bad_input(self):
        self.source = self.tensors("t.safetensors", self.block(left_out=("attn.to_k.weight",)))
        self.assert_tool_refuses(self.convert(), "t.safetensors", "attn.to_k.weight", "missing")
        self.source = self.tensors("t.safetensors", self.block(height=3))
        self.assert_tool_refuses(self.convert(), "to_v.weight", "[3, 1]", "[2, 1]")
        self.source = self.tensors("t.safetensors", self.block() | {"odd.weight": ([1], 0.0)})
        self.assert_tool_refuses(self.convert(), "odd.weight")
        self.source = self.tensors("t.safetensors", {"double_blocks.0.img_attn.qkv.weight": ([3, 1], 0.0)})
        self.assert_tool_refuses(self.convert(), "Black Forest Labs' layout already")
        self.source = self.folder / "none"
        self.assert_tool_refuses(self.convert(), "none", "no such file")
        self.assert_tool_refuses(self.convert("--save_precision", "fp8_e4m3fnuz"), "fnuz", code=2)


class ConvertFluxLoraTest(ToolTest):
    MODULE = "lora_unet_double_blocks_0_img_attn_proj"

    def setUp(self):
        super().setUp()
        self.lora = {f"{self.MODULE}.lora_down.weight": ([2, 3], 1.0), f"{self.MODULE}.lora_up.weight": ([4, 2], 2.0),
                     f"{self.MODULE}.alpha": ([], 1.0)}

    def convert(self, src, dst, source):
        return ["convert_flux_lora", "--src", src, "--dst", dst, "--src_path", source, "--dst_path", "out.safetensors"]

    def test_there_and_back(self):
        source = self.tensors("lora.safetensors", self.lora | {"lora_te1_x.alpha": ([], 1.0)}, {"ss_x": "y"})
        said = self.assert_done(*self.convert("sd-scripts", "ai-toolkit", source)).stderr
        self.assertIn("lora_te1_x.alpha", said)
        tensors, metadata = unpack(self.folder / "out.safetensors")
        self.assertEqual(metadata, {"ss_x": "y"})
        name = "transformer.transformer_blocks.0.attn.to_out.0"
        self.assertEqual(tensors[f"{name}.lora_A.weight"].values, [0.5] * 6)  # alpha / rank
        self.assertEqual(tensors[f"{name}.lora_B.weight"].values, [2.0] * 8)
        (self.folder / "out.safetensors").rename(self.folder / "ait.safetensors")
        self.assert_done(*self.convert("ai-toolkit", "sd-scripts", self.folder / "ait.safetensors"))
        tensors, _ = unpack(self.folder / "out.safetensors")
        self.assertEqual(tensors[f"{self.MODULE}.alpha"].values, [2.0])

    def test_bad_input(self):
        source = self.tensors("lora.safetensors", self.lora)
        self.assert_tool_refuses(self.convert("ai-toolkit", "sd-scripts", source), "no module", "ai-toolkit")
        self.assert_tool_refuses(self.convert("peft", "sd-scripts", source), "--src peft", code=2)
        self.assert_tool_refuses(["convert_flux_lora", "--src_path", source, "--dst_path", source], "also an input")
        half = dict(self.lora)
        del half[f"{self.MODULE}.lora_up.weight"]
        source = self.tensors("half.safetensors", half)
        self.assert_tool_refuses(self.convert("sd-scripts", "ai-toolkit", source), self.MODULE, "lora_up")


class InspectTest(ToolTest):
    def setUp(self):
        super().setUp()
        self.lora = self.tensors("lora.safetensors", {"m.lora_down.weight": ([2, 2], [1.0, -2.0, 3.0, -4.0]),
                                                      "m.alpha": ([], 4.0)},
                                 {"ss_tag_frequency": '{"a": {"cat": 2}}', "ss_b": "\u00e9"})

    def test_statistics(self):
        lines = self.assert_done("check_lora_weights", self.lora).stdout.splitlines()
        self.assertEqual(lines, ["number of LoRA modules: 1", "m.lora_down.weight,(2-2),2.5,1.0"])
        lines = self.assert_done("check_lora_weights", self.lora, "-s").stdout.splitlines()
        self.assertEqual(lines[1:], ["number of all modules: 2", "m.lora_down.weight,(2-2),2.5,1.0", "m.alpha,(),4.0,4.0"])
        quirk = self.assert_done("check_lora_weights", "-s", "--reference_quirks", self.lora).stdout.splitlines()
        self.assertEqual(quirk[1], "number of all modules: 3")

    def test_metadata(self):
        text = self.assert_done("show_metadata", "--model", self.lora).stdout
        expected = {"ss_tag_frequency": '{"a": {"cat": 2}}', "ss_b": "\u00e9"}
        self.assertEqual(text, json.dumps(expected, indent=4, sort_keys=True) + "\n")
        facts = json.loads(self.assert_done("show_metadata", "--model", self.lora, "--json").stdout)
        self.assertEqual(facts["metadata"], {"ss_tag_frequency": {"a": {"cat": 2}}, "ss_b": "\u00e9"})
        self.assertEqual((facts["num_tensors"], facts["num_parameters"]), (2, 5))
        self.assertEqual(facts["tensors_by_dtype"], {"float32": 2})
        self.assertEqual(facts["num_bytes"], os.path.getsize(self.lora))
        self.assertEqual(facts["kind"], "a LoRA, not a checkpoint")
        bare = self.tensors("bare.safetensors", {"a": ([1], 0.0)})
        facts = json.loads(self.assert_done("show_metadata", "--model", bare, "--json").stdout)
        self.assertEqual(facts["metadata"], {})
        self.assertIn("No metadata found", self.assert_done("show_metadata", "--model", bare).stderr)

    def test_metadata_that_only_looks_like_json(self):
        texts = {"ss_half": '{"a": 1', "ss_nan": "[NaN]", "ss_deep": "[" * 100000 + "]" * 100000}
        odd = self.tensors("odd.safetensors", {"a": ([1], 0.0)}, texts)
        facts = json.loads(self.assert_done("show_metadata", "--model", odd, "--json").stdout)
        self.assertEqual(facts["metadata"], texts)

    def test_bad_input(self):
        page = self.write("page.safetensors", b"<!doctype html><html></html>")
        for words in (["show_metadata", "--model", page], ["check_lora_weights", page]):
            self.assert_tool_refuses(words, "page.safetensors", "web page")


class ConvertSdTest(ToolTest):
    def test_bad_input(self):
        words = ["convert_diffusers20_original_sd"]
        self.assert_tool_refuses([*words, "none.safetensors", "out.ckpt"], "none.safetensors", "no such file")
        self.assert_tool_refuses([*words, self.model, "model-v1.5"], "'.5' is no ending", code=2)
        self.assert_tool_refuses([*words, self.model, self.model], "also an input")
        self.assert_tool_refuses([*words, self.model, self.images], "no Diffusers folder")
        self.assert_tool_refuses([*words, self.model, "out.ckpt", "--metadata", "[1]"], "--metadata", code=2)
        lora = self.tensors("lora.safetensors", {"m.lora_down.weight": ([1], 0.0)})
        self.assert_tool_refuses([*words, lora, "out.ckpt"], "LoRA")
        # The model of this folder has no complete U-Net.
        self.assert_tool_refuses([*words, self.model, "diffusers"], "model.safetensors")


if __name__ == "__main__":
    harness.main()
