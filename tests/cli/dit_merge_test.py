"""Merging LoRAs into SD3 and Lumina, for which sd-scripts has no command: results worked out by hand."""

import harness
from weight_files import change, lora, normal, pack, product, unpack
from weight_tool_case import ToolTest

MMDIT = "model.diffusion_model."
SD3 = {
    f"{MMDIT}x_embedder.proj.weight": [4, 16, 2, 2],
    f"{MMDIT}context_embedder.weight": [4, 6],
    f"{MMDIT}joint_blocks.0.context_block.attn.qkv.weight": [12, 4],
    f"{MMDIT}joint_blocks.0.context_block.mlp.fc1.weight": [16, 4],
    f"{MMDIT}joint_blocks.0.x_block.attn.qkv.weight": [12, 4],
    f"{MMDIT}joint_blocks.0.x_block.attn.ln_q.weight": [4],
    f"{MMDIT}joint_blocks.0.x_block.attn2.qkv.weight": [12, 4],
    f"{MMDIT}joint_blocks.0.x_block.attn.proj.weight": [4, 4],
    f"{MMDIT}joint_blocks.0.x_block.mlp.fc2.weight": [4, 16],
    f"{MMDIT}joint_blocks.0.x_block.adaLN_modulation.1.weight": [24, 4],
    f"{MMDIT}final_layer.linear.weight": [8, 4],
    "text_encoders.clip_l.transformer.text_model.encoder.layers.0.self_attn.q_proj.weight": [4, 4],
    "text_encoders.clip_g.transformer.text_model.encoder.layers.0.mlp.fc1.weight": [8, 4],
    "text_encoders.t5xxl.transformer.encoder.block.0.layer.0.SelfAttention.q.weight": [4, 4],
    "first_stage_model.encoder.conv_out.weight": [8, 4, 3, 3],
}
LUMINA = {
    "x_embedder.weight": [4, 6],
    "t_embedder.mlp.0.weight": [4, 4],
    "cap_embedder.0.weight": [6],
    "cap_embedder.1.weight": [4, 6],
    "context_refiner.0.attention.qkv.weight": [8, 4],
    "context_refiner.0.feed_forward.w2.weight": [4, 10],
    "noise_refiner.0.attention.out.weight": [4, 4],
    "noise_refiner.0.adaLN_modulation.1.weight": [16, 4],
    "layers.0.attention.qkv.weight": [8, 4],
    "layers.0.attention.q_norm.weight": [2],
    "layers.0.feed_forward.w1.weight": [10, 4],
    "layers.0.adaLN_modulation.1.weight": [16, 4],
    "final_layer.linear.weight": [6, 4],
    "final_layer.adaLN_modulation.1.weight": [4, 4],
}


class DitMergeTest(ToolTest):
    """SD3 and Lumina, for which sd-scripts has no command: base + ratio x alpha / rank x up . down, worked out here."""

    PREFIXES = {MMDIT: "lora_unet_", "text_encoders.clip_l.transformer.": "lora_te1_",
                "text_encoders.clip_g.transformer.": "lora_te2_", "text_encoders.t5xxl.transformer.": "lora_te3_"}

    def modules_of(self, layout):
        """{module as sd-scripts names it: key} of every matrix and kernel but the autoencoder's."""
        modules = {}
        for key, shape in layout.items():
            if len(shape) > 1 and not key.startswith("first_stage_model."):
                prefix = next((p for p in self.PREFIXES if key.startswith(p)), "")
                path = key[len(prefix):-len(".weight")].replace(".", "_")
                modules[self.PREFIXES.get(prefix, "lora_unet_") + path] = key
        return modules

    def check_merge(self, layout, architecture, num_modules):
        modules = self.modules_of(layout)
        self.assertEqual(len(modules), num_modules)
        base = {name: normal(shape, 500 + i) for i, (name, shape) in enumerate(layout.items())}
        checkpoint = self.write("dit.safetensors", pack(base))
        one, two = (lora({module: layout[key] for module, key in modules.items()}, rank=rank, alpha=alpha, seed=seed)
                    for rank, alpha, seed in ((2, 1.0, 30), (3, 6.0, 70)))
        files = [self.write(name, pack(tensors)) for name, tensors in (("one.safetensors", one), ("two.safetensors", two))]
        said = self.done("merge_lora", "--sd_model", checkpoint, "--models", *files, "--ratios", "0.5", "-0.75",
                         "--save_to", self.result)
        self.assertEqual(said.count(f"{num_modules} of {num_modules} modules"), 2)
        written, metadata = unpack(self.result)
        self.assertEqual(set(written), set(base))
        for module, key in modules.items():
            added = [[0.5 * a - 0.75 * b for a, b in zip(*rows)] for rows in zip(change(one, module), change(two, module))]
            self.assert_merged(written, key, added, base)
        for key in set(base) - set(modules.values()):
            self.assertEqual(written[key].shape, base[key].shape)
            self.assert_rows(written[key].rows(), base[key].rows(), 1e-6)
        self.assertEqual(metadata["modelspec.architecture"], architecture)

    def test_sd3(self):
        self.check_merge(SD3, "stable-diffusion-3", 13)

    def test_lumina(self):
        self.check_merge(LUMINA, "lumina-2", 12)

    def test_parts_of_sd3_as_diffusers_names_them(self):
        base = {name: normal(shape, 500 + i) for i, (name, shape) in enumerate(SD3.items())}
        checkpoint = self.write("dit.safetensors", pack(base))
        for name, path, first in (("attn.to_k", "x_block.attn.qkv", 4), ("attn.add_v_proj", "context_block.attn.qkv", 8),
                                  ("attn2.to_q", "x_block.attn2.qkv", 0)):
            with self.subTest(name):
                down, up = normal([2, 4], 1), normal([4, 2], 2)
                module, key = f"transformer.transformer_blocks.0.{name}", f"{MMDIT}joint_blocks.0.{path}.weight"
                file = self.write("peft.safetensors", pack({f"{module}.lora_A.weight": down, f"{module}.lora_B.weight": up}))
                self.done("merge_lora", "--sd_model", checkpoint, "--models", file, "--ratios", "0.5", "--save_to",
                          self.result)
                added = [[0.0] * 4 for _ in range(12)]
                added[first:first + 4] = product(up, down, 0.5)
                self.assert_merged(unpack(self.result)[0], key, added, base)


if __name__ == "__main__":
    harness.main()
