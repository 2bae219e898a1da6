"""Commands, options and config files: what is misspelled or does not fit ends with exit code 2 and the nearest name."""

from harness import CliTest, main


class CommandLine(CliTest):
    def test_help_and_version(self):
        self.assertIn("train_network", self.run_difftune("--help").stdout)
        self.assertRegex(self.run_difftune("--version").stdout, r"^difftune \d+\.\d+\.\d+\n$")
        page = self.run_difftune("train_network", "--help")
        self.assertEqual((page.returncode, page.stderr), (0, ""))
        self.assertIn("--network_dim", page.stdout)

    def test_name_of_the_script(self):
        self.assertEqual(self.run_difftune("sd-scripts/train_network.py", "--help").stdout,
                         self.run_difftune("train_network", "--help").stdout)

    def test_no_command(self):
        self.assert_refused(lambda: self.run_difftune(), "difftune --help", code=2)

    def test_misspelled_command(self):
        self.assert_refused(lambda: self.run_difftune("train_netwrok"), "train_netwrok", "train_network?", code=2)

    def test_misspelled_option(self):
        self.assert_refused(lambda: self.plan("--learning_rte", "1"), "--learning_rte", "--learning_rate", code=2)

    def test_value_that_is_no_number(self):
        self.assert_refused(lambda: self.plan(max_train_steps="many"), "--max_train_steps", "many", code=2)

    def test_value_missing(self):
        self.assert_refused(lambda: self.plan("--learning_rate"), "--learning_rate", code=2)

    def test_option_that_is_not_available_yet(self):
        self.assert_refused(lambda: self.plan("--masked_loss"), "--masked_loss", "not available", code=2)

    def test_unknown_choice(self):
        self.assert_refused(lambda: self.plan(mixed_precision="fp8"), "--mixed_precision", "fp8", "bf16", code=2)

    def test_docs_into_a_file(self):
        self.assert_refused(lambda: self.run_difftune("docs", self.model), self.model)


class ConfigFile(CliTest):
    def test_options_from_a_file(self):
        config = self.write("run.toml", 'resolution = "64"\n[training]\nmax_train_steps = 2\n')
        self.assertEqual(self.plan(config_file=config, resolution=None, max_train_steps=None).returncode, 0)

    def test_missing_file(self):
        self.assert_refused(lambda: self.plan(config_file="nowhere.toml"), "nowhere.toml")

    def test_misspelled_key(self):
        config = self.write("run.toml", "# options\nnetwrok_dim = 4\n")
        self.assert_refused(lambda: self.plan(config_file=config), "run.toml:2", "netwrok_dim", "network_dim", code=2)

    def test_not_toml(self):
        config = self.write("run.toml", "network_dim = = 4\n")
        self.assert_refused(lambda: self.plan(config_file=config), "run.toml:1", "TOML")

    def test_not_utf8(self):
        config = self.write("run.toml", b'output_name = "caf\xe9"\n')
        self.assert_refused(lambda: self.plan(config_file=config), "run.toml:1", "UTF-8")

    def test_misspelled_key_of_a_dataset(self):
        config = self.write("data.toml", f"""[general]
resolution = 64
[[datasets]]
[[datasets.subsets]]
image_dir = "{self.images}/2_cat"
num_repeat = 3
""")
        self.assert_refused(lambda: self.plan(dataset_config=config, train_data_dir=None, resolution=None),
                            "data.toml:6", "num_repeat", "num_repeats")

    def test_options_are_written(self):
        result = self.plan("--output_config", config_file="run.toml", network_dim="8")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("network_dim = 8", (self.folder / "run.toml").read_text())
        self.assert_refused(lambda: self.plan("--output_config", config_file="run.toml"), "run.toml", "exists")


if __name__ == "__main__":
    main()
