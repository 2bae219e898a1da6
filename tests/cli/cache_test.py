"""cache_latents and cache_text_encoder_outputs for every family with tiny models: what they write, and that a training run
takes it."""

import os
import zipfile

from harness import CliTest, main, png
from tiny_models import FAMILIES, TinyModel

KINDS = {"sdxl": ["--sdxl"], "flux": ["--flux"], "schnell": ["--flux"], "chroma": ["--flux"], "sd3": ["--sd3"],
         "lumina": ["--lumina"]}
LATENTS = {"sdxl": "_sdxl.npz", "sd3": "_sd3.npz", "lumina": "_lumina.npz"}
TEXT = {"sdxl": ("_te_outputs.npz", {"hidden_state1", "hidden_state2", "pool2"}),
        "sd3": ("_sd3_te.npz", {"lg_out", "lg_pooled", "t5_out", "clip_l_attn_mask", "clip_g_attn_mask", "t5_attn_mask",
                                "apply_lg_attn_mask", "apply_t5_attn_mask"}),
        "lumina": ("_lumina_te.npz", {"hidden_state", "attention_mask", "input_ids"})}
FLUX_TEXT = ("_flux_te.npz", {"l_pooled", "t5_out", "txt_ids", "t5_attn_mask", "apply_t5_attn_mask"})


class Caches(CliTest):
    def setUp(self):
        super().setUp()
        os.environ["OMP_NUM_THREADS"] = "1"
        self.write("images/2_cat/second.png", png(128, 64))

    def ok(self, *words):
        result = self.run_difftune(*words)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result

    def data(self):
        return ["--train_data_dir", self.images, "--resolution", "64", "--enable_bucket", "--min_bucket_reso", "64",
                "--max_bucket_reso", "128", "--caption_extension", ".txt", "--seed", "1", "--console_log_level", "WARNING"]

    def entries(self, suffix):
        files = sorted(self.images.rglob(f"*{suffix}"))
        return files, [{name.removesuffix(".npy") for name in zipfile.ZipFile(file).namelist()} for file in files]

    def check_family(self, family):
        model = TinyModel(self.folder / "models", family)
        words = [*model.train[1:], *KINDS[family], *self.data()]
        self.ok("cache_latents", *words, "--vae_batch_size", 2)
        suffix = LATENTS.get(family, "_flux.npz")
        files, names = self.entries(suffix)
        self.assertEqual(len(files), 2)
        self.assertTrue(any(name.startswith("latents") for name in names[0]), names)
        self.ok("cache_text_encoder_outputs", *words)
        text_suffix, arrays = TEXT.get(family, FLUX_TEXT)
        text_files, text_names = self.entries(text_suffix)
        self.assertEqual(len(text_files), 2)
        self.assertTrue(arrays <= text_names[0], text_names)
        # Training finds all of it and leaves the files as they are.
        before = {file: os.stat(file).st_mtime_ns for file in (*files, *text_files)}
        self.ok(*model.train, *self.data(), "--output_dir", self.out, "--output_name", "lora", "--network_module",
                model.module, "--network_dim", "2", "--max_train_steps", "1", "--cache_latents",
                "--cache_latents_to_disk", "--cache_text_encoder_outputs", "--cache_text_encoder_outputs_to_disk",
                "--network_train_unet_only")
        self.assertEqual({file: os.stat(file).st_mtime_ns for file in before}, before)

    def test_latents_need_no_text_encoders(self):
        model = TinyModel(self.folder / "models", "flux")
        words = ["--pretrained_model_name_or_path", model.folder / "flux_dev.safetensors", "--flux", *self.data()]
        self.ok("cache_latents", *words, "--ae", model.folder / "ae.safetensors")
        self.assert_refused(lambda: self.run_difftune("cache_latents", *words), "--ae")
        self.ok("cache_text_encoder_outputs", *words, "--clip_l", model.folder / "clip_l.safetensors", "--t5xxl",
                model.folder / "t5.safetensors")
        self.assert_refused(lambda: self.run_difftune("cache_text_encoder_outputs", *words), "--clip_l", code=2)

    def test_kinds(self):
        model = TinyModel(self.folder / "models", "lumina")
        words = [*model.train[1:], *self.data()]
        for command in ("cache_latents", "cache_text_encoder_outputs"):
            self.assert_refused(lambda: self.run_difftune(command, *words, "--flux"), "Lumina-Image 2.0")
            self.assert_refused(lambda: self.run_difftune(command, *words, "--flux", "--sd3"), "exclude each other", code=2)
        self.assert_refused(lambda: self.run_difftune("cache_text_encoder_outputs", *words), "--sdxl, --flux, --sd3", code=2)


for each in FAMILIES:
    setattr(Caches, f"test_{each}", lambda self, family=each: self.check_family(family))

if __name__ == "__main__":
    main()
