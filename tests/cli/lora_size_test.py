"""The commands that make a LoRA smaller, of two checkpoints or of a DyLoRA: results worked out by hand, and what they say
of bad input."""

import harness
from weight_tool_case import CONV, FLUX, KEY_OF, MODULES, PROJ_IN, TEXT, TO_K, TO_Q, ToolTest
from weight_files import change, lora, normal, pack, Tensor, unpack


class ResizeTest(ToolTest):
    def resize(self, *words):
        return ("resize_lora", "--model", self.lora_file, "--save_to", self.result, *words)

    def test_full_rank_keeps_everything(self):
        self.done(*self.resize("--new_rank", "2"))
        written, metadata = unpack(self.result)
        for module in MODULES:
            self.assert_rows(change(written, module), change(self.lora, module), 1e-4)
        self.assertEqual(metadata["ss_training_comment"], "dimension is resized from 2 to 2; ")
        self.assertEqual((metadata["ss_network_dim"], metadata["ss_network_alpha"]), ("2", "1.0"))
        self.assertEqual(metadata["ss_v2"], "False")

    def test_smaller_rank_is_the_best_one(self):
        # up = e1, e2 and down = 3 e1, 1 e2: rank 1 keeps the 3.
        self.write("a.safetensors", pack({
            f"{TO_Q}.lora_up.weight": Tensor([4, 2], [1, 0, 0, 1, 0, 0, 0, 0]),
            f"{TO_Q}.lora_down.weight": Tensor([2, 4], [3, 0, 0, 0, 0, 1, 0, 0]), f"{TO_Q}.alpha": Tensor([], [2.0])}))
        self.done(*self.resize("--new_rank", "1"))
        written, _ = unpack(self.result)
        self.assert_rows(change(written, TO_Q), [[3, 0, 0, 0], [0] * 4, [0] * 4, [0] * 4])
        self.assertEqual(written[f"{TO_Q}.alpha"].values, [1.0])

    def test_dynamic_methods(self):
        for method, value in (("sv_ratio", "4"), ("sv_fro", "0.9"), ("sv_cumulative", "0.7")):
            self.done(*self.resize("--dynamic_method", method, "--dynamic_param", value, "--new_rank", "2"))
            metadata = unpack(self.result)[1]
            self.assertEqual(metadata["ss_network_dim"], "Dynamic")
            self.assertIn(f"Dynamic resize with {method}: {float(value)} from 2", metadata["ss_training_comment"])

    def test_larger_rank(self):
        self.done(*self.resize("--new_rank", "3"))
        written, _ = unpack(self.result)
        self.assertEqual(written[f"{TO_Q}.lora_down.weight"].shape, [3, 4])
        self.assert_rows(change(written, TO_Q), change(self.lora, TO_Q), 1e-4)

    def test_options(self):
        self.refused(self.resize("--dynamic_method", "sv_fro"), "--dynamic_param", code=2)
        self.refused(self.resize("--dynamic_method", "sv_frob", "--dynamic_param", "1"), "sv_fro", code=2)
        self.refused(self.resize("--new_rank", "0"), "--new_rank", code=2)
        self.refused(("resize_lora", "--model", self.lora_file, "--save_to", self.lora_file), "input")


class ExtractTest(ToolTest):
    def extract(self, *words, command="extract_lora_from_models", tuned="tuned.safetensors"):
        return (command, "--model_org", self.checkpoint, "--model_tuned", self.folder / tuned, "--save_to", self.result,
                "--clamp_quantile", "1", *words)

    def test_gives_back_what_was_merged(self):
        self.done("merge_lora", "--sd_model", self.checkpoint, "--models", self.lora_file, "--ratios", "1", "--save_to",
                  self.folder / "tuned.safetensors")
        self.done(*self.extract("--dim", "2", "--conv_dim", "2"))
        written, metadata = unpack(self.result)
        for module in MODULES:
            self.assert_rows(change(written, module), change(self.lora, module), 1e-4)
        self.assertEqual(metadata["ss_network_args"], '{"conv_dim": "2", "conv_alpha": "2.0"}')
        self.assertEqual(metadata["ss_base_model_version"], "sd_v1")
        self.assertEqual((metadata["ss_network_dim"], metadata["ss_network_alpha"]), ("2", "2.0"))

    def test_error_is_that_of_the_best_lora(self):
        # 8x8 with singular values 8, 7 … 1 on the axes: rank 3 leaves out 5, 4, 3, 2, 1.
        key = f"{TEXT}mlp.fc1.weight"
        self.base[key] = Tensor([8, 8], [0.0] * 64)
        tuned = Tensor([8, 8], [float(8 - i) if i == j else 0.0 for i in range(8) for j in range(8)])
        self.write("base.safetensors", pack(self.base))
        self.write("tuned.safetensors", pack(self.base | {key: tuned}))
        self.done(*self.extract("--dim", "3"))
        found = change(unpack(self.result)[0], "lora_te_text_model_encoder_layers_0_mlp_fc1")
        error = sum((t - f) ** 2 for rows in zip(tuned.rows(), found) for t, f in zip(*rows)) ** 0.5
        self.assertLessEqual(error, 1.001 * (25 + 16 + 9 + 4 + 1) ** 0.5)

    def test_convolutions_and_equal_text_encoders_are_left_out(self):
        self.done("merge_lora", "--sd_model", self.checkpoint, "--models",
                  self.write("unet.safetensors", pack(lora({TO_Q: (4, 4), CONV: (4, 4, 3, 3)}))), "--ratios", "1",
                  "--save_to", self.folder / "tuned.safetensors")
        said = self.done(*self.extract("--dim", "2"))
        self.assertIn("U-Net only", said)
        modules = {key.split(".")[0] for key in unpack(self.result)[0]}
        self.assertEqual(modules, {TO_Q, TO_K, PROJ_IN})

    def test_models_of_different_kinds(self):
        self.write("tuned.safetensors", pack(self.base | {KEY_OF[TO_K]: normal([4, 8], 1)}))
        self.refused(self.extract(), KEY_OF[TO_K], "[4, 8]", "[4, 6]")
        self.write("tuned.safetensors", pack({key: t for key, t in self.base.items() if key != KEY_OF[TO_Q]}))
        self.refused(self.extract(), KEY_OF[TO_Q], "different kinds")
        self.refused(self.extract("--sdxl"), "--sdxl", "1.x", code=2)
        self.refused(self.extract(command="flux_extract_lora"), "1.x", "extract_lora_from_models")

    def test_equal_models(self):
        self.write("tuned.safetensors", pack(self.base))
        self.refused(self.extract(), "no layer differs")

    def test_flux(self):
        base = {name: normal(shape, 300 + i) for i, (name, shape) in enumerate(FLUX.items())}
        self.checkpoint = self.write("flux.safetensors", pack(base))
        qkv = "lora_unet_double_blocks_0_img_attn_qkv"
        tuned = lora({qkv: (12, 4)})
        self.done("flux_merge_lora", "--flux_model", self.checkpoint, "--models",
                  self.write("a.safetensors", pack(tuned)), "--ratios", "1", "--save_to", self.folder / "tuned.safetensors")
        self.done(*self.extract("--dim", "2", command="flux_extract_lora"))
        written, metadata = unpack(self.result)
        self.assert_rows(change(written, qkv), change(tuned, qkv), 1e-4)
        self.assertEqual(written[f"{qkv}.alpha"].dtype, "I64")
        self.assertEqual(metadata["modelspec.architecture"], "flux-1-dev/lora")
        self.assertNotIn("lora_unet_img_in.alpha", written)


class DyloraTest(ToolTest):
    def test_first_ranks(self):
        tensors = lora({TO_Q: (4, 4)}, rank=6)
        file = self.write("dylora.safetensors", pack(tensors, {"ss_training_comment": "mine"}))
        self.done("extract_lora_from_dylora", "--model", file, "--unit", "2", "--save_to", self.result)
        for rank in (2, 4):
            written, metadata = unpack(self.folder / f"result-{rank:04}.safetensors")
            self.assert_rows(written[f"{TO_Q}.lora_down.weight"].rows(), tensors[f"{TO_Q}.lora_down.weight"].rows()[:rank])
            self.assert_rows(written[f"{TO_Q}.lora_up.weight"].rows(),
                             [row[:rank] for row in tensors[f"{TO_Q}.lora_up.weight"].rows()])
            self.assertEqual(metadata["ss_training_comment"], f"split from DyLoRA, rank 6 to {rank}; mine")
        self.assertFalse((self.folder / "result-0006.safetensors").exists())
        self.refused(("extract_lora_from_dylora", "--model", file, "--unit", "6", "--save_to", self.result), "rank is 6")
        self.refused(("extract_lora_from_dylora", "--model", file, "--save_to", self.result), "--unit", code=2)


if __name__ == "__main__":
    harness.main()
