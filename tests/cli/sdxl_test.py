"""The SDXL commands on input that does not fit: one line, nothing written."""

from harness import SD1_SHAPES, CliTest, main, safetensors


class Sdxl(CliTest):
    def words(self, *more):
        return ["sdxl_train_network", "--pretrained_model_name_or_path", self.model, "--train_data_dir", self.images,
                "--resolution", "64", "--output_dir", self.out, "--network_module", "networks.lora", *more]

    def refused(self, words, *parts, code):
        result = self.run_difftune(*words)
        self.assertEqual(result.returncode, code, result.stderr)
        for part in parts:
            self.assertIn(part, result.stderr)
        self.assertEqual(list(self.out.glob("*.safetensors")) if self.out.exists() else [], [])

    def test_wrong_command_names_the_right_one(self):
        self.model.write_bytes(safetensors(SD1_SHAPES))
        self.refused(self.words(), "Stable Diffusion 1.x", "the command for it is train_network", code=1)
        self.refused(["sdxl_minimal_inference", "--ckpt_path", self.model], "Stable Diffusion 1.x", code=1)

    def test_options_that_contradict_each_other(self):
        self.refused(self.words("--v2"), "--v2 does not go with", code=2)
        self.refused(self.words("--cache_text_encoder_outputs"), "--network_train_unet_only", code=2)
        self.refused(["train_network", "--cache_text_encoder_outputs"], "--cache_text_encoder_outputs", code=2)

    def test_inference_options(self):
        self.refused(["sdxl_minimal_inference"], "--ckpt_path", code=2)
        self.refused(["sdxl_minimal_inference", "--ckpt_path", self.model, "--lora_weights", "a.safetensors;x"],
                     "number behind the semicolon", code=2)

    def test_cache_commands(self):
        self.refused(["cache_text_encoder_outputs", "--pretrained_model_name_or_path", self.model, "--train_data_dir",
                      self.images, "--resolution", "64"], "add --sdxl", code=2)
        self.refused(["cache_latents", "--pretrained_model_name_or_path", self.model, "--train_data_dir", self.images,
                      "--resolution", "64", "--flux"], "Stable Diffusion 1.x", "--flux is given", code=1)


if __name__ == "__main__":
    main()
