"""What the tests of the weight tools share: checkpoints of a few tensors, a LoRA for one, and checks."""

import harness
from weight_files import lora, normal, pack

UNET, TEXT = "model.diffusion_model.", "cond_stage_model.transformer.text_model.encoder.layers.0."
# An SD 1.x checkpoint: one level with attention, one without, and a text encoder of one layer.
SD1 = {
    f"{UNET}input_blocks.0.0.weight": [4, 4, 3, 3],
    f"{UNET}input_blocks.1.0.in_layers.2.weight": [4, 4, 3, 3],
    f"{UNET}input_blocks.1.1.proj_in.weight": [4, 4, 1, 1],
    f"{UNET}input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight": [4, 4],
    f"{UNET}input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": [4, 6],
    f"{UNET}input_blocks.2.0.op.weight": [4, 4, 3, 3],
    f"{UNET}input_blocks.3.0.in_layers.2.weight": [4, 4, 3, 3],
    f"{UNET}out.2.weight": [4, 4, 3, 3],
    "first_stage_model.encoder.conv_out.weight": [8, 4, 3, 3],
    "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight": [16, 4],
    f"{TEXT}self_attn.q_proj.weight": [4, 4],
    f"{TEXT}mlp.fc1.weight": [8, 4],
    "alphas_cumprod": [4],
}
TO_Q, TO_K = (f"lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_{name}" for name in ("attn1_to_q", "attn2_to_k"))
PROJ_IN, CONV = "lora_unet_down_blocks_0_attentions_0_proj_in", "lora_unet_down_blocks_0_resnets_0_conv1"
TEXT_Q = "lora_te_text_model_encoder_layers_0_self_attn_q_proj"
KEY_OF = {TO_Q: f"{UNET}input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight",
          TO_K: f"{UNET}input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight",
          PROJ_IN: f"{UNET}input_blocks.1.1.proj_in.weight",
          CONV: f"{UNET}input_blocks.1.0.in_layers.2.weight",
          TEXT_Q: f"{TEXT}self_attn.q_proj.weight"}
MODULES = {TO_Q: (4, 4), TO_K: (4, 6), PROJ_IN: (4, 4, 1, 1), CONV: (4, 4, 3, 3), TEXT_Q: (4, 4)}
FLUX = {
    "img_in.weight": [4, 4],
    "double_blocks.0.img_attn.qkv.weight": [12, 4],
    "double_blocks.0.img_attn.norm.query_norm.scale": [4],
    "double_blocks.0.img_attn.proj.weight": [4, 4],
    "single_blocks.0.linear1.weight": [20, 4],
    "guidance_in.in_layer.weight": [4, 4],
}


class ToolTest(harness.CliTest):
    def setUp(self):
        super().setUp()
        self.base = {name: normal(shape, 100 + i) for i, (name, shape) in enumerate(SD1.items())}
        self.checkpoint = self.write("base.safetensors", pack(self.base))
        self.lora = lora(MODULES)
        self.lora_file = self.write("a.safetensors", pack(self.lora, {"ss_v2": "False"}))
        self.result = self.folder / "result.safetensors"

    def done(self, *words):
        result = self.run_difftune(*words)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stderr

    def refused(self, words, *parts, code=1):
        self.assert_refused(lambda: self.run_difftune(*words), *parts, code=code)

    def assert_rows(self, got, expected, tolerance=1e-5):
        self.assertEqual([len(row) for row in got], [len(row) for row in expected])
        for row, wanted in zip(got, expected):
            for value, right in zip(row, wanted):
                self.assertAlmostEqual(value, right, delta=tolerance)

    def assert_merged(self, written, key, added, base=None):
        before = (base or self.base)[key].rows()
        self.assert_rows(written[key].rows(), [[b + a for b, a in zip(*rows)] for rows in zip(before, added)])
