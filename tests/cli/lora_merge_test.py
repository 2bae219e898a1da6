"""The commands that merge LoRAs, on checkpoints of a few tensors: results worked out by hand, and what they say of bad
input."""

import json
import resource
import signal
import subprocess
import time
from pathlib import Path

import harness
from harness import DIFFTUNE
from weight_tool_case import CONV, FLUX, KEY_OF, MODULES, TEXT_Q, TO_K, TO_Q, ToolTest
from weight_files import bf16, change, lora, normal, pack, product, Tensor, unpack

LYCORIS = Path(__file__).resolve().parent.parent / "data" / "weight_tools" / "lycoris.json"


class MergeTest(ToolTest):
    def merge(self, *words, command="merge_lora"):
        return (command, "--sd_model", self.checkpoint, "--save_to", self.result, *words)

    def test_every_module_finds_its_weight(self):
        said = self.done(*self.merge("--models", self.lora_file, "--ratios", "0.5"))
        self.assertIn("5 of 5 modules", said)
        written, metadata = unpack(self.result)
        self.assertEqual(set(written), set(self.base))
        for module, key in KEY_OF.items():
            self.assert_merged(written, key, [[0.5 * v for v in row] for row in change(self.lora, module)])
        for key in set(self.base) - set(KEY_OF.values()):
            self.assert_rows(written[key].rows(), self.base[key].rows(), 0.0005)
        self.assertEqual(metadata["modelspec.architecture"], "stable-diffusion-v1")
        self.assertEqual(metadata["modelspec.merged_from"], "base, a")
        self.assertEqual(metadata["modelspec.title"], "result")

    def test_what_belongs_to_no_part_keeps_its_precision(self):
        self.done(*self.merge("--models", self.lora_file, "--ratios", "1", "--save_precision", "fp16"))
        written, _ = unpack(self.result)
        self.assertEqual({name: tensor.dtype for name, tensor in written.items() if tensor.dtype != "F16"},
                         {"alphas_cumprod": "F32"})

    def test_sums_in_bf16(self):
        # Each step is rounded; the ratio is not.
        tensors = lora({TO_Q: (4, 4)}, rank=1, alpha=0.5)
        file = self.write("one.safetensors", pack(tensors))
        self.done(*self.merge("--models", file, "--ratios", "0.7", "--precision", "bf16", "--save_precision", "float"))
        up, down = ([bf16(v) for v in tensors[f"{TO_Q}.lora_{name}.weight"].values] for name in ("up", "down"))
        expected = [[bf16(bf16(weight) + bf16(bf16(bf16(u * d) * 0.7) * 0.5)) for weight, d in zip(row, down)]
                    for row, u in zip(self.base[KEY_OF[TO_Q]].rows(), up)]
        self.assert_rows(unpack(self.result)[0][KEY_OF[TO_Q]].rows(), expected, tolerance=0)

    def test_names_of_other_programs(self):
        down, up = self.lora[f"{TO_Q}.lora_down.weight"], self.lora[f"{TO_Q}.lora_up.weight"]
        path = "down_blocks.0.attentions.0.transformer_blocks.0.attn1"
        spellings = {
            "peft": {f"unet.{path}.to_q.lora_A.weight": down, f"unet.{path}.to_q.lora_B.weight": up},
            "old_diffusers": {f"unet.{path}.processor.to_q_lora.down.weight": down,
                              f"unet.{path}.processor.to_q_lora.up.weight": up},
            "ldm": {"lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q.lora_down.weight": down,
                    "lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q.lora_up.weight": up}}
        for name, tensors in spellings.items():
            with self.subTest(name):
                file = self.write(f"{name}.safetensors", pack(tensors))
                self.done(*self.merge("--models", file, "--ratios", "1"))
                self.assert_merged(unpack(self.result)[0], KEY_OF[TO_Q], product(up, down))

    def test_loha(self):
        parts = {name: normal(shape, i) for i, (name, shape) in enumerate(
            {"hada_w1_a": [4, 2], "hada_w1_b": [2, 4], "hada_w2_a": [4, 2], "hada_w2_b": [2, 4]}.items())}
        file = self.write("loha.safetensors", pack({f"{TO_Q}.{name}": t for name, t in parts.items()} |
                                                   {f"{TO_Q}.alpha": Tensor([], [1.0])}))
        self.done(*self.merge("--models", file, "--ratios", "2"))
        first = product(parts["hada_w1_a"], parts["hada_w1_b"])
        second = product(parts["hada_w2_a"], parts["hada_w2_b"])
        self.assert_merged(unpack(self.result)[0], KEY_OF[TO_Q],
                           [[2 * 0.5 * x * y for x, y in zip(*rows)] for rows in zip(first, second)])

    def test_lokr(self):
        left, right = normal([2, 2], 1), normal([2, 2], 2)
        file = self.write("lokr.safetensors", pack({f"{TO_Q}.lokr_w1": left, f"{TO_Q}.lokr_w2": right}))
        self.done(*self.merge("--models", file, "--ratios", "1"))
        kron = [[left.rows()[i // 2][j // 2] * right.rows()[i % 2][j % 2] for j in range(4)] for i in range(4)]
        self.assert_merged(unpack(self.result)[0], KEY_OF[TO_Q], kron)

    def test_dora_sets_the_norms(self):
        norms = Tensor([4, 1], [1.0, 2.0, 3.0, 4.0])
        tensors = {key: t for key, t in self.lora.items() if key.startswith(TO_Q)} | {f"{TO_Q}.dora_scale": norms}
        self.done(*self.merge("--models", self.write("dora.safetensors", pack(tensors)), "--ratios", "1"))
        for row, norm in zip(unpack(self.result)[0][KEY_OF[TO_Q]].rows(), norms.values):
            self.assertAlmostEqual(sum(v * v for v in row) ** 0.5, norm, places=5)

    def test_old_merge_knows_attention_only(self):
        said = self.done(*self.merge("--models", self.lora_file, "--ratios", "1", command="merge_lora_old"))
        self.assertIn("1 modules have no place", said)
        self.assertIn(CONV, said)
        written, metadata = unpack(self.result)
        self.assertIsNone(metadata)
        self.assert_rows(written[KEY_OF[CONV]].rows(), self.base[KEY_OF[CONV]].rows(), 1e-6)

    def test_dry_run_writes_nothing(self):
        before = self.files()
        said = self.done(*self.merge("--models", self.lora_file, "--ratios", "1", "--dry_run"))
        self.assertIn("would write", said)
        self.assertEqual(self.files(), before)

    def test_pytorch_files(self):
        result = self.folder / "result.ckpt"
        self.done("merge_lora", "--sd_model", self.checkpoint, "--models", self.lora_file, "--ratios", "1", "--save_to",
                  result)
        again = self.folder / "again.safetensors"
        self.done("merge_lora", "--sd_model", result, "--models", self.lora_file, "--ratios", "-1", "--save_to", again)
        self.assert_rows(unpack(again)[0][KEY_OF[TO_Q]].rows(), self.base[KEY_OF[TO_Q]].rows())

    def test_numbers_of_files_and_ratios(self):
        self.refused(self.merge("--models", self.lora_file, "--ratios", "1", "2"), "--models names 1", "2 numbers",
                     code=2)
        self.refused(self.merge("--ratios", "1"), "--models", code=2)

    def test_lora_of_another_family(self):
        file = self.write("flux.safetensors", pack(lora({"lora_unet_double_blocks_0_img_attn_qkv": (12, 4)})))
        self.refused(self.merge("--models", file, "--ratios", "1"), file, "FLUX.1", "none of its 1 modules",
                     "Stable Diffusion 1.x")

    def test_shape_that_does_not_fit(self):
        file = self.write("b.safetensors", pack(lora({TO_K: (4, 8)})))
        self.refused(self.merge("--models", file, "--ratios", "1"), f"{TO_K}.lora_down.weight", "[2, 8]",
                     KEY_OF[TO_K], "[4, 6]")

    def test_half_of_a_pair(self):
        del self.lora[f"{TO_K}.lora_up.weight"]
        self.write("a.safetensors", pack(self.lora))
        self.refused(self.merge("--models", self.lora_file, "--ratios", "1"), TO_K, "no lora_up")

    def test_not_a_number(self):
        self.lora[f"{TO_Q}.lora_up.weight"].values[3] = float("nan")
        self.write("a.safetensors", pack(self.lora))
        self.refused(self.merge("--models", self.lora_file, "--ratios", "1"), f"{TO_Q}.lora_up.weight", "NaN")

    def test_infinity_in_the_checkpoint(self):
        self.base[KEY_OF[TEXT_Q]].values[0] = float("inf")
        self.write("base.safetensors", pack(self.base))
        self.refused(self.merge("--models", self.lora_file, "--ratios", "1"), KEY_OF[TEXT_Q], "infinit")

    def test_output_is_an_input(self):
        for output in (self.checkpoint, self.lora_file):
            self.refused(("merge_lora", "--sd_model", self.checkpoint, "--models", self.lora_file, "--ratios", "1",
                          "--save_to", output.parent / "out" / ".." / output.name), output.name, "input")

    def test_truncated_checkpoint(self):
        self.checkpoint.write_bytes(pack(self.base)[:-40])
        self.refused(self.merge("--models", self.lora_file, "--ratios", "1"), self.checkpoint, "truncated")

    def test_checkpoint_in_place_of_a_lora(self):
        self.refused(self.merge("--models", self.checkpoint, "--ratios", "1"), "is no LoRA")

    def test_v2_of_a_v1_checkpoint(self):
        self.refused(self.merge("--models", self.lora_file, "--ratios", "1", "--v2"), "--v2", "1.x", code=2)

    def test_missing_files(self):
        self.refused(self.merge("--models", self.folder / "none.safetensors", "--ratios", "1"), "none.safetensors",
                     "No such file")
        self.refused(("merge_lora", "--sd_model", self.folder / "gone.safetensors", "--models", self.lora_file, "--ratios",
                      "1", "--save_to", self.result), "gone.safetensors", "No such file")

    def test_output_is_a_folder(self):
        self.result.mkdir()
        self.refused(self.merge("--models", self.lora_file, "--ratios", "1"), "--save_to", "is a folder")

    def test_a_file_that_cannot_grow(self):
        # As on a full disk: writing fails after the free space was found to be enough.
        self.base["first_stage_model.encoder.conv_in.weight"] = Tensor([400, 1000], [0.5] * 400_000)
        self.write("base.safetensors", pack(self.base))
        self.result.write_bytes(b"the old file")
        limited = lambda: subprocess.run(
            [DIFFTUNE, *map(str, self.merge("--models", self.lora_file, "--ratios", "1"))], capture_output=True,
            text=True, cwd=self.folder, check=False, timeout=100,
            preexec_fn=lambda: (signal.signal(signal.SIGXFSZ, signal.SIG_IGN),
                                resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))))
        self.assert_refused(limited, "result.safetensors", "cannot be written", "File too large")
        self.assertEqual(self.result.read_bytes(), b"the old file")

    def test_options_that_mean_nothing_together(self):
        self.refused(self.merge("--models", self.lora_file, "--ratios", "1", "--concat"), "--concat", code=2)

    def test_killed_in_the_middle(self):
        self.base["first_stage_model.encoder.conv_in.weight"] = Tensor([3000, 1000], [0.5] * 3_000_000)
        self.write("base.safetensors", pack(self.base))
        self.result.write_bytes(b"the old file")
        words = [DIFFTUNE, *map(str, self.merge("--models", self.lora_file, "--ratios", "1"))]
        for wait in (0.02, 0.05, 0.1, 0.2):
            process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(wait)
            process.send_signal(signal.SIGKILL)
            process.wait()
            content = self.result.read_bytes()
            if content != b"the old file":
                self.assertEqual(set(unpack(self.result)[0]), set(self.base))
        self.done(*words[1:])  # takes away what the killed ones left
        self.assertEqual([path for path in self.files() if "tmp" in path.name], [])


class LycorisTest(ToolTest):
    def test_merges_as_lycoris_does(self):
        def tensor(stored):
            return Tensor(stored["shape"], stored["values"])

        for name, case in json.loads(LYCORIS.read_text()).items():
            weight, merged = tensor(case["weight"]), tensor(case["merged"])
            module = TO_Q if len(weight.shape) == 2 else CONV
            key = KEY_OF[module]
            checkpoint = self.write("base.safetensors", pack(self.base | {key: weight}))
            with self.subTest(name):
                file = self.write(f"{name}.safetensors",
                                  pack({f"{module}.{part}": tensor(values) for part, values in case["parts"].items()}))
                self.done("merge_lora", "--sd_model", checkpoint, "--models", file, "--ratios", case["strength"],
                          "--save_to", self.result)
                self.assert_rows(unpack(self.result)[0][key].rows(), merged.rows(),
                                 tolerance=2e-6 * max(abs(value) for value in merged.values))


class CombineTest(ToolTest):
    def setUp(self):
        super().setUp()
        self.other = lora(MODULES, seed=2, alpha=4.0)
        self.other_file = self.write("b.safetensors", pack(self.other))

    def combine(self, *words, command="merge_lora", ratios=("0.5", "-0.25")):
        return (command, "--models", self.lora_file, self.other_file, "--ratios", *ratios, "--save_to", self.result,
                *words)

    def assert_sum(self, written, ratios, tolerance=1e-4):
        for module in MODULES:
            expected = [[ratios[0] * a + ratios[1] * b for a, b in zip(*rows)]
                        for rows in zip(change(self.lora, module), change(self.other, module))]
            self.assert_rows(change(written, module), expected, tolerance)

    def test_factors_are_added(self):
        self.done(*self.combine())
        written, metadata = unpack(self.result)
        # alphas are 1 and 4: the second file's factors are worth sqrt(4 / 1) of the first's.
        for part, sign in (("lora_down", -1), ("lora_up", 1)):
            key = f"{TO_Q}.{part}.weight"
            self.assert_rows(written[key].rows(), [[0.5 * a + sign * 0.25 * 2 * b for a, b in zip(*rows)] for rows in zip(
                self.lora[key].rows(), self.other[key].rows())])
        self.assertEqual(written[f"{TO_Q}.alpha"].values, [1.0])
        self.assertEqual((metadata["ss_network_dim"], metadata["ss_network_alpha"]), ("2", "1.0"))
        self.assertEqual((metadata["ss_v2"], metadata["ss_network_module"]), ("False", "networks.lora"))
        self.assertEqual(metadata["modelspec.architecture"], "stable-diffusion-v1/lora")

    def test_concatenated_factors_give_products_of_their_own(self):
        self.done(*self.combine("--concat", "--shuffle"))
        written, _ = unpack(self.result)
        self.assertEqual(written[f"{TO_Q}.lora_down.weight"].shape, [4, 4])
        # Each product has its ratio squared, as the factors are scaled one by one, and the first file's alpha over the
        # new rank.
        self.assert_rows(change(written, TO_Q), [
            [0.5 * (0.25 * a - 0.0625 * b) for a, b in zip(*rows)]
            for rows in zip(change(self.lora, TO_Q), change(self.other, TO_Q))], 1e-4)

    def test_svd_gives_the_sum(self):
        # The layers have rank 4 at most; unclamped values would give the sum exactly.
        self.done(*self.combine("--new_rank", "4", command="svd_merge_lora"))
        written, metadata = unpack(self.result)
        self.assertEqual(written[f"{TO_Q}.alpha"].dtype, "I64")
        self.assertEqual(metadata["ss_network_args"], '{"conv_dim": 4, "conv_alpha": 4}')
        self.assert_sum(written, (0.5, -0.25), tolerance=2.0)

    def test_svd_of_the_whole_sum(self):
        # Clamping takes little off where the signs of the singular vectors are those of LAPACK, or both signs count.
        self.done(*self.combine("--new_rank", "4", command="svd_merge_lora"))
        fast, _ = unpack(self.result)
        self.done(*self.combine("--new_rank", "4", "--exact_svd", command="svd_merge_lora"))
        exact, _ = unpack(self.result)
        self.assertEqual({name: tensor.shape for name, tensor in fast.items()},
                         {name: tensor.shape for name, tensor in exact.items()})
        self.assert_sum(exact, (0.5, -0.25), tolerance=2.0)

    def test_block_weights(self):
        lists = ["[" + ",".join(["1"] * 17) + "]", "[0," + ",".join(["0"] * 16) + "]"]
        self.done(*self.combine("--new_rank", "4", "--lbws", *lists, command="svd_merge_lora", ratios=("1", "1")))
        # The text encoder's weight is 0 in the second list.
        written, _ = unpack(self.result)
        self.assert_rows(change(written, TEXT_Q), change(self.lora, TEXT_Q), 0.8)
        self.refused(self.combine("--lbws", "[1,2]", "[1,2]", command="svd_merge_lora"), "--lbws", "17 or 26", code=2)
        self.refused(self.combine("--lbws", lists[0], command="svd_merge_lora"), "--lbws 1", code=2)

    def test_different_ranks(self):
        self.write("b.safetensors", pack(lora(MODULES, rank=3)))
        self.refused(self.combine(), "[3, 4]", "[2, 4]", "--concat")
        self.done(*self.combine(command="svd_merge_lora"))

    def test_old_merge_wants_equal_alphas(self):
        self.refused(self.combine(command="merge_lora_old"), "alpha", "4")

    def test_loha_cannot_be_added(self):
        self.write("b.safetensors", pack({f"{TO_Q}.{name}": normal(shape, 1) for name, shape in {
            "hada_w1_a": [4, 2], "hada_w1_b": [2, 4], "hada_w2_a": [4, 2], "hada_w2_b": [2, 4]}.items()}))
        self.refused(self.combine(), "LoHa", "--sd_model")


class FluxMergeTest(ToolTest):
    def setUp(self):
        super().setUp()
        self.base = {name: normal(shape, 300 + i) for i, (name, shape) in enumerate(FLUX.items())}
        self.checkpoint = self.write("flux.safetensors", pack(self.base))
        self.clip_key = "text_model.encoder.layers.0.self_attn.q_proj.weight"
        self.t5_key = "encoder.block.0.layer.0.SelfAttention.q.weight"
        self.clip = {self.clip_key: normal([4, 4], 1)}
        self.t5 = {self.t5_key: normal([4, 4], 2)}

    def test_three_models_at_once(self):
        modules = {"lora_unet_single_blocks_0_linear1": (20, 4),
                   "lora_te1_text_model_encoder_layers_0_self_attn_q_proj": (4, 4),
                   "lora_te3_encoder_block_0_layer_0_SelfAttention_q": (4, 4)}
        tensors = lora(modules)
        clip_out, t5_out = self.folder / "clip_out.safetensors", self.folder / "t5_out.safetensors"
        self.done("flux_merge_lora", "--flux_model", self.checkpoint, "--save_to", self.result,
                  "--clip_l", self.write("clip.safetensors", pack(self.clip)), "--clip_l_save_to", clip_out,
                  "--t5xxl", self.write("t5.safetensors", pack(self.t5)), "--t5xxl_save_to", t5_out,
                  "--models", self.write("a.safetensors", pack(tensors)), "--ratios", "1")
        for module, file, key, base in zip(
                modules, (self.result, clip_out, t5_out),
                ("single_blocks.0.linear1.weight", self.clip_key, self.t5_key), (self.base, self.clip, self.t5)):
            self.assert_merged(unpack(file)[0], key, change(tensors, module), base)
        self.assertEqual(unpack(self.result)[1]["modelspec.architecture"], "flux-1-dev")
        self.assertIsNone(unpack(clip_out)[1])

    def test_parts_of_fused_weights(self):
        for name, key, first, rows in (
                ("transformer.transformer_blocks.0.attn.to_k", "double_blocks.0.img_attn.qkv.weight", 4, 4),
                ("transformer.single_transformer_blocks.0.attn.to_v", "single_blocks.0.linear1.weight", 8, 4),
                ("transformer.single_transformer_blocks.0.proj_mlp", "single_blocks.0.linear1.weight", 12, 8)):
            with self.subTest(name):
                down, up = normal([2, 4], 1), normal([rows, 2], 2)
                file = self.write("peft.safetensors", pack({f"{name}.lora_A.weight": down, f"{name}.lora_B.weight": up}))
                self.done("flux_merge_lora", "--flux_model", self.checkpoint, "--models", file, "--ratios", "0.5",
                          "--save_to", self.result, "--diffusers")
                added = [[0.0] * 4 for _ in range(self.base[key].shape[0])]
                added[first:first + rows] = product(up, down, 0.5)
                self.assert_merged(unpack(self.result)[0], key, added)

    def test_options(self):
        words = ("flux_merge_lora", "--flux_model", self.checkpoint, "--models", self.lora_file, "--ratios", "1")
        self.refused(words, "--save_to", code=2)
        self.refused((*words, "--save_to", self.result, "--clip_l", self.checkpoint), "--clip_l_save_to", code=2)
        self.refused((*words, "--save_to", self.result, "--save_precision", "fp4"), "--save_precision", "fp4", code=2)


if __name__ == "__main__":
    harness.main()
