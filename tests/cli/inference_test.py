"""Pictures of every family with tiny models: by the inference commands, and as samples of a training run."""

import bisect
import json
import os
import signal
import struct
import subprocess
from pathlib import Path

from harness import DIFFTUNE, CliTest, main
from tiny_models import FAMILIES, TinyModel, largest_difference, pixels
from weight_files import pack


def in_8_bits(file):
    """A file in float16 whose layers' matrices are rounded to float8_e4m3fn: stored so, and in float16."""
    def value(byte):
        exponent, mantissa = byte >> 3 & 15, byte & 7
        size = mantissa / 8 * 2**-6 if exponent == 0 else (1 + mantissa / 8) * 2.0**(exponent - 7)
        return -size if byte & 128 else size

    content = file.read_bytes()
    begin = 8 + struct.unpack("<Q", content[:8])[0]
    order = sorted((value(byte), byte) for byte in range(256) if byte & 127 != 127)
    edges = [(low[0] + high[0]) / 2 for low, high in zip(order, order[1:])]
    headers, bodies = ({}, {}), (bytearray(), bytearray())
    for key, entry in json.loads(content[8:begin]).items():
        raw = content[begin + entry["data_offsets"][0]:begin + entry["data_offsets"][1]]
        forms = [("F16", raw)] * 2
        if len(entry["shape"]) == 2 and "embed" not in key and "shared" not in key:
            nearest = [order[bisect.bisect(edges, v)] for v in struct.unpack(f"<{len(raw) // 2}e", raw)]
            forms = [("F8_E4M3", bytes(byte for _, byte in nearest)),
                     ("F16", struct.pack(f"<{len(nearest)}e", *(v for v, _ in nearest)))]
        for header, body, (dtype, data) in zip(headers, bodies, forms):
            header[key] = {"dtype": dtype, "shape": entry["shape"], "data_offsets": [len(body), len(body) + len(data)]}
            body += data
    files = []
    for header, body in zip(headers, bodies):
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        files.append(struct.pack("<Q", len(text)) + text + bytes(body))
    return files


class PictureTest(CliTest):
    def setUp(self):
        super().setUp()
        # The models are so small that threads would wait for each other most of the time.
        os.environ["OMP_NUM_THREADS"] = "1"

    def ok(self, *words, answers=None):
        result = subprocess.run([DIFFTUNE, *map(str, words)], capture_output=True, text=True, cwd=self.folder, timeout=100,
                                input=answers, check=False)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result

    def words(self, model, folder, *more):
        sizes = [word for name, side in zip(model.size, (96, 64)) for word in (name, side)]
        return [*model.picture, *sizes, "--steps", 2, "--seed", 7, "--prompt", "a red cat", "--output_dir",
                self.folder / folder, *more]

    def picture(self, model, folder, *more):
        self.ok(*self.words(model, folder, *more))
        (path,) = (self.folder / folder).iterdir()
        return path

    def train(self, model, name, *more, steps=1):
        self.ok(*model.train, "--train_data_dir", self.images, "--resolution", "64", "--output_dir", self.out,
                "--output_name", name, "--network_module", model.module, "--network_dim", "4", "--network_alpha", "4",
                "--learning_rate", "0.05", "--max_train_steps", steps, "--seed", "1", "--caption_extension", ".txt",
                "--optimizer_type", "AdamW", "--console_log_level", "WARNING", *more)
        return self.out / f"{name}.safetensors"


class Families(PictureTest):
    def check_family(self, family):
        model = TinyModel(self.folder / "models", family)
        plain = self.picture(model, "plain")
        self.assertEqual(pixels(plain)[:2], (96, 64))
        # A sample before the first step is the picture of the bare model.
        scale = {"sdxl": 7, "sd3": 5, "lumina": 3.5}.get(family, 1)
        prompts = self.write("prompts.txt", f"a red cat --w 96 --h 64 --s 2 --d 7 --l {scale}\n"
                                            f"a dog --w 100 --h 70 --s 2 --d 8 --l 3 --n a red cat --g 2\n")
        lora = self.train(model, "lora", "--sample_prompts", prompts, "--sample_at_first", "--sample_every_n_steps", "1",
                          "--sample_sampler", "euler")
        samples = sorted((self.out / "sample").iterdir())
        self.assertEqual(len(samples), 4)
        self.assertLessEqual(largest_difference(samples[0], plain), 1)
        self.assertEqual(pixels(samples[1])[:2], (100 // 16 * 16, 64) if family != "sdxl" else (96, 64))
        # The trained LoRA, added to the weights and beside them, gives the sample behind the step.
        with_lora = self.picture(model, "lora", "--lora_weights", lora)
        self.assertLessEqual(largest_difference(with_lora, samples[2]), 2)
        self.assertGreater(largest_difference(with_lora, plain), 20)
        if family != "sdxl":
            merged = self.picture(model, "merged", "--merge_lora_weights", "--lora_weights", f"{lora};0.25", f"{lora};0.75")
            self.assertLessEqual(largest_difference(with_lora, merged), 2)
            beside = self.picture(model, "beside", "--lora_weights", f"{lora};0.25", f"{lora};0.75")
            self.assertLessEqual(largest_difference(with_lora, beside), 2)
        none = self.picture(model, "none", "--lora_weights", f"{lora};0")
        self.assertLessEqual(largest_difference(none, plain), 1)


for each in FAMILIES:
    setattr(Families, f"test_{each}", lambda self, family=each: self.check_family(family))


class Dialogue(PictureTest):
    def test_prompts_that_are_typed_in(self):
        model = TinyModel(self.folder / "models", "flux")
        plain = self.picture(model, "plain")
        words = self.words(model, "typed", "--interactive")
        lines = ["a red cat --w 96 --h 64 --s 2 --d 7 --g 3.5", "a red cat --w 97", "a cat --x 3",
                 "a red cat --d 8 --c 2 --n -", "a red cat --m 1", ""]
        result = self.ok(*words, answers="\n".join(lines) + "\n")
        made = sorted((self.folder / "typed").iterdir(), key=os.path.getmtime)
        self.assertEqual(len(made), 2, result.stderr)
        self.assertEqual(largest_difference(made[0], plain), 0)
        self.assertGreater(largest_difference(made[1], plain), 20)
        for part in ("--w 97: expected a multiple of 16: 96 or 112", "unknown flag '--x'", "1 multipliers for 0 LoRAs"):
            self.assertIn(part, result.stderr)

    def test_parts_in_8_bits(self):
        for family, options in (("flux", ("flux_dtype", "clip_l_dtype", "t5xxl_dtype")),
                                ("lumina", ("dtype", "gemma2_dtype"))):
            model = TinyModel(self.folder / "models", family)
            for option in options:
                with self.subTest(family=family, option=option):
                    pictures = [self.picture(model, f"{family}_{option}_{form}", f"--{option}", form)
                                for form in ("bf16", "fp8")]
                    difference = largest_difference(*pictures)
                    self.assertGreater(difference, 0)
                    self.assertLess(difference, 128)

    def test_files_in_8_bits(self):
        """Layers' matrices in float8 give the picture of the same values in float16, for T5, CLIP and Gemma."""
        for family, parts in (("flux", ("--t5xxl", "--clip_l")), ("sd3", ("--t5xxl", "--clip_g")),
                              ("lumina", ("--gemma2_path",))):
            model = TinyModel(self.folder / "models", family)
            plain = self.picture(model, f"{family}_plain")
            for option in parts:
                with self.subTest(family=family, part=option):
                    file = Path(model.picture[model.picture.index(option) + 1])
                    narrow, wide = in_8_bits(file)
                    pictures = []
                    for name, content in (("narrow", narrow), ("wide", wide)):
                        written = self.folder / f"{family}{option}_{name}.safetensors"
                        written.write_bytes(content)
                        pictures.append(self.picture(model, f"{family}{option}_{name}", option, written))
                    self.assertLessEqual(largest_difference(*pictures), 1)
                    self.assertGreater(largest_difference(pictures[0], plain), 1)

    def test_remarks_are_printed_once(self):
        """The program starts itself again for the sake of its threads, before it has said anything."""
        model = TinyModel(self.folder / "models", "lumina")
        result = self.ok(*self.words(model, "remarks", "--use_flash_attn"))
        self.assertEqual(result.stderr.count("--use_flash_attn"), 1, result.stderr)

    def test_sdxl_asks_four_questions(self):
        model = TinyModel(self.folder / "models", "sdxl")
        plain = self.picture(model, "plain")
        self.ok(*self.words(model, "typed", "--interactive"), answers="a red cat\n\n\n7\n")
        (made,) = (self.folder / "typed").iterdir()
        self.assertEqual(largest_difference(made, plain), 0)

    def test_lumina_ends_with_a_word(self):
        model = TinyModel(self.folder / "models", "lumina")
        result = self.ok(*self.words(model, "typed", "--interactive"),
                         answers="\na red cat --g 2 --ctr 0.5 --rcfg 0\nexit\na dog\n")
        self.assertEqual(len(list((self.folder / "typed").iterdir())), 1, result.stderr)


class Refused(PictureTest):
    def setUp(self):
        super().setUp()
        self.tiny = TinyModel(self.folder / "models", "flux")

    def refused(self, words, *parts, code=1):
        self.assert_refused(lambda: self.run_difftune(*words), *parts, code=code)

    def test_files(self):
        words = self.words(self.tiny, "out")
        for option in ("--t5xxl", "--ae", "--clip_l", "--ckpt_path"):
            at = words.index(option)
            self.refused([*words[:at], *words[at + 2:]], f"{option}", code=2)
            self.refused([*words[:at + 1], "nowhere.safetensors", *words[at + 2:]], option, "nowhere.safetensors")
        at = words.index("--t5xxl")
        self.refused([*words[:at + 1], self.folder / "models/ae.safetensors", *words[at + 2:]], "holds no T5 encoder")

    def test_model_of_another_family(self):
        lumina = TinyModel(self.folder / "models", "lumina")
        words = self.words(self.tiny, "out")
        at = words.index("--ckpt_path") + 1
        self.refused([*words[:at], lumina.folder / "lumina.safetensors", *words[at + 1:]], "Lumina-Image 2.0",
                     "lumina_minimal_inference")
        self.refused([*words, "--model_type", "chroma", "--apply_t5_attn_mask"], "FLUX.1")

    def test_loras(self):
        lumina = TinyModel(self.folder / "models", "lumina")
        lora = self.train(lumina, "lora")
        words = self.words(self.tiny, "pictures")
        self.refused([*words, "--lora_weights", lora], lora, "Lumina-Image 2.0", "FLUX.1")
        self.refused([*words, "--lora_weights", f"{lora};x"], "number behind the semicolon", code=2)
        self.refused([*words, "--lora_weights", "nowhere.safetensors"], "nowhere.safetensors")
        self.refused([*words, "--lora_weights", self.tiny.folder / "ae.safetensors"], "holds no LoRA")
        oft = self.write("oft.safetensors", pack({"oft_unet_double_blocks_0_img_mod_lin.oft_blocks": ([4, 2, 2], 0.5)}))
        self.refused([*words, "--lora_weights", oft], "holds OFT")

    def test_values(self):
        words = self.words(self.tiny, "out")
        self.refused([*words, "--width", "100"], "--width 100: expected a multiple of 16: 96 or 112")
        self.refused([*words, "--dtype", "half"], "--dtype half", "bfloat16", code=2)
        self.refused([*words, "--dtype", "fp16"], "needs a GPU", code=2)
        self.refused([*words, "--ae_dtype", "fp8"], "--ae_dtype fp8", code=2)
        self.refused([*words, "--guidence", "3"], "--guidance", code=2)
        self.refused([*words, "--steps", "0"], "--steps", code=2)
        self.refused([*words, "--output_dir", "/proc/nowhere"], "--output_dir", "/proc/nowhere")

    def test_stopped_by_a_signal(self):
        words = [*self.words(self.tiny, "stopped"), "--steps", "1000"]
        process = subprocess.Popen([DIFFTUNE, *map(str, words)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                   cwd=self.folder)
        self.assertIn(b" on cpu", process.stderr.readline())  # from here on it answers to signals
        process.send_signal(signal.SIGINT)
        message = process.communicate(timeout=60)[1].decode()
        self.assertEqual(process.returncode, 1, message)
        self.assertIn("stopped by a signal; nothing was written", message)
        self.assertEqual(list((self.folder / "stopped").iterdir()), [])


if __name__ == "__main__":
    main()
