"""Whole runs on a tiny model: what they write, and that an interrupted run goes on to the same bits."""

import glob
import json
import os
import signal
import struct
import subprocess
import time
from pathlib import Path

from harness import DIFFTUNE, CliTest, main, png

DATA = Path(__file__).resolve().parent.parent / "data" / "generate"


def tensors(path):
    """(metadata, the bytes behind the header) of a safetensors file."""
    content = Path(path).read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8:8 + length])["__metadata__"], content[8 + length:]


def scalars(folder):
    """The values of all curves as raw bytes, by tag and step, of the event files below `folder`."""
    points = set()
    for path in glob.glob(f"{folder}/**/events.out.tfevents.*", recursive=True):
        content, at = Path(path).read_bytes(), 0
        while at < len(content):
            length = struct.unpack("<Q", content[at:at + 8])[0]
            record = content[at + 12:at + 12 + length]
            at += length + 16
            # Behind the wall clock time (field 1) an event is its step and its value: equal bytes, equal point.
            points.add(record[9:])
    return points


class TrainRun(CliTest):
    def setUp(self):
        super().setUp()
        # The model is so small that threads would wait for each other most of the time.
        os.environ["OMP_NUM_THREADS"] = "1"
        for i in range(5):
            self.write(f"images/2_cat/{i}.png", png(96 if i % 2 else 64, 64))
            self.write(f"images/2_cat/{i}.txt", f"cat, red, tall, view {i}, hat")

    def words(self, name, *more, steps=11):
        return ["train_network", "--pretrained_model_name_or_path", DATA / "model", "--tokenizer_cache_dir",
                DATA / "tokenizer", "--train_data_dir", self.images, "--resolution", "64", "--enable_bucket",
                "--min_bucket_reso", "64", "--max_bucket_reso", "128", "--caption_extension", ".txt", "--output_dir",
                self.out, "--output_name", name, "--network_module", "networks.lora", "--network_dim", "4",
                "--network_args", "conv_dim=2", "--network_dropout", "0.1", "--learning_rate", "1e-3",
                "--gradient_accumulation_steps", "2", "--shuffle_caption", "--keep_tokens", "1", "--flip_aug",
                "--caption_dropout_rate", "0.1", "--noise_offset", "0.05", "--lr_scheduler", "cosine",
                "--lr_warmup_steps", "2", "--seed", "7", "--max_train_steps", steps, "--logging_dir",
                self.folder / f"log_{name}", *more]

    def train(self, name, *more, steps=11):
        result = self.run_difftune(*self.words(name, *more, steps=steps))
        self.assertEqual(result.returncode, 0, result.stderr)
        return result

    def assert_same_weights(self, *names):
        reference = tensors(self.out / f"{names[0]}.safetensors")[1]
        self.assertGreater(len(reference), 10000)
        for name in names[1:]:
            self.assertEqual(tensors(self.out / f"{name}.safetensors")[1], reference, name)

    def last_state(self, name):
        return sorted(self.out.glob(f"{name}-step*-state"))[-1]

    def test_resume_is_exact_twice_in_a_row(self):
        self.train("whole")
        self.train("first", "--save_every_n_steps", "3", "--save_state", "--save_last_n_steps", "3")
        # Steps 6 and 9 remain: 3 is older than the last three steps.
        self.assertFalse((self.out / "first-step00000003.safetensors").exists())
        self.train("second", "--resume", self.out / "first-step00000006-state", "--save_every_n_steps", "4",
                   "--save_state")
        self.train("third", "--resume", self.out / "second-step00000008-state")
        self.assert_same_weights("whole", "first", "second", "third")
        whole = scalars(self.folder / "log_whole")
        for name in ("second", "third"):
            points = scalars(self.folder / f"log_{name}")
            self.assertTrue(points)
            self.assertLessEqual(points - {p for p in points if b"brain.Event" in p}, whole, name)
        metadata = tensors(self.out / "third.safetensors")[0]
        self.assertEqual((metadata["ss_steps"], metadata["ss_num_batches_per_epoch"]), ("11", "14"))

    def test_resume_at_the_end_of_an_epoch(self):
        self.train("whole")
        self.train("first", "--save_every_n_epochs", "1", "--save_state")
        self.train("second", "--resume", self.out / "first-000001-state")
        self.assert_same_weights("whole", "first", "second")

    def start(self, name, *more, steps=11):
        process = subprocess.Popen([DIFFTUNE, *map(str, self.words(name, *more, steps=steps))],
                                   stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd=self.folder)
        self.addCleanup(process.stderr.close)
        return process

    def wait_for(self, process, pattern):
        deadline = time.monotonic() + 60
        while not glob.glob(str(self.out / pattern)) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.001)

    def test_killed_while_saving(self):
        self.train("whole")
        process = self.start("killed", "--save_every_n_steps", "1", "--save_state")
        self.wait_for(process, "killed-step00000003.safetensors")
        self.wait_for(process, "*.difftune-tmp")
        process.kill()
        process.wait()
        self.train("after", "--resume", self.last_state("killed"))
        self.assert_same_weights("whole", "after")
        self.assertEqual(list(self.out.glob("*difftune-tmp*")), [])

    def test_interrupt_saves_weights_and_state(self):
        self.train("whole", steps=40)
        process = self.start("stopped", "--save_every_n_steps", "2", steps=40)
        self.wait_for(process, "stopped-step00000002.safetensors")
        process.send_signal(signal.SIGINT)
        process.wait(60)
        self.assertEqual(process.returncode, 130, process.stderr.read().decode())
        state = self.last_state("stopped")
        self.assertTrue(Path(str(state).replace("-state", ".safetensors")).exists())
        self.train("after", "--resume", state, steps=40)
        self.assert_same_weights("whole", "after")

    def test_resume_with_another_rank(self):
        self.train("first", "--save_state", steps=2)
        result = self.run_difftune(*self.words("second", "--resume", self.out / "first-state", "--network_dim", "8"))
        self.assertEqual(result.returncode, 1)
        self.assertIn("resume with the same --network_dim", result.stderr)

    def test_latents_from_disk_give_the_same_run(self):
        once = ["--cache_latents"]
        self.train("memory", *once, steps=2)
        self.train("disk", *once, "--cache_latents_to_disk", steps=2)
        files = sorted(self.images.rglob("*_sd.npz"))
        self.assertEqual(len(files), 7)
        before = [os.stat(f).st_mtime_ns for f in files]
        again = self.train("again", *once, "--cache_latents_to_disk", steps=2)
        self.assertEqual([os.stat(f).st_mtime_ns for f in files], before, again.stderr)
        # An entry that is damaged is made anew.
        files[0].write_bytes(files[0].read_bytes()[:-40])
        self.train("mended", *once, "--cache_latents_to_disk", steps=2)
        self.assert_same_weights("memory", "disk")

    def test_sample_pictures(self):
        prompts = self.write("prompts.txt", "a cat --w 64 --h 64 --s 2 --d 1\n# none\na dog --w 64 --h 64 --s 2 --l 1\n")
        self.train("plain", steps=4)
        self.train("lora", "--sample_prompts", prompts, "--sample_every_n_steps", "2", "--sample_at_first",
                   "--sample_sampler", "euler_a", steps=4)
        self.assertEqual(len(list((self.out / "sample").glob("lora_*.png"))), 6)
        self.assert_same_weights("plain", "lora")  # pictures leave the training's random numbers alone

    def test_bf16_and_checkpointing(self):
        self.train("plain", steps=2)
        self.train("checkpointed", "--gradient_checkpointing", steps=2)
        self.assert_same_weights("plain", "checkpointed")
        self.train("bf16", "--mixed_precision", "bf16", "--save_precision", "bf16", steps=2)
        self.assertLess(len(tensors(self.out / "bf16.safetensors")[1]), len(tensors(self.out / "plain.safetensors")[1]))

    def test_network_weights_and_base_weights(self):
        self.train("first", steps=3)
        file = self.out / "first.safetensors"
        self.train("further", "--network_weights", file, "--dim_from_weights", steps=1)
        self.train("merged", "--base_weights", file, "--base_weights_multiplier", "0.5", steps=1)
        self.assertNotEqual(tensors(self.out / "merged.safetensors")[1], tensors(self.out / "further.safetensors")[1])


if __name__ == "__main__":
    main()
