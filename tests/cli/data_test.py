"""Images and captions: every fault is found before a model loads, and the line names the file."""

from pathlib import Path

from harness import CliTest, main, png

IMAGES = Path(__file__).resolve().parent.parent / "data" / "image"


class Images(CliTest):
    def test_good_folder(self):
        result = self.plan()
        self.assertEqual(result.returncode, 0, result.stderr)

    def test_no_images_named(self):
        self.assert_refused(lambda: self.plan(train_data_dir=None), "--train_data_dir", "--dataset_config", code=2)

    def test_missing_folder(self):
        self.assert_refused(lambda: self.plan(train_data_dir="nowhere"), "nowhere")

    def test_file_for_a_folder(self):
        self.assert_refused(lambda: self.plan(train_data_dir=self.model), self.model)

    def test_folder_without_images(self):
        self.write("empty/2_cat/notes.md", "none")
        self.assert_refused(lambda: self.plan(train_data_dir="empty"), "empty", "no images")

    def test_only_macos_files(self):
        self.write("mac/2_cat/._first.png", b"\0\5\26\7")
        self.assert_refused(lambda: self.plan(train_data_dir="mac"), "mac", "no images")

    def test_macos_file_among_images(self):
        self.write("images/2_cat/._first.png", b"\0\5\26\7")
        self.assertEqual(self.plan().returncode, 0)

    def test_truncated_image(self):
        content = png()
        path = self.write("images/2_cat/third.png", content[:len(content) // 2])
        self.assert_refused(self.plan, path, "cut off")

    def test_corrupt_image(self):
        path = self.write("images/2_cat/third.png", png()[:8] + b"nonsense" * 20)
        self.assert_refused(self.plan, path)

    def test_empty_image(self):
        path = self.write("images/2_cat/third.jpg", b"")
        self.assert_refused(self.plan, path)

    def test_content_that_is_no_image(self):
        path = self.write("images/2_cat/third.png", "<html>not found</html>")
        self.assert_refused(self.plan, path, "not an image")

    def test_decompression_bomb(self):
        bomb = bytearray(png())
        bomb[16:24] = b"\x00\x0f\x42\x40\x00\x0f\x42\x40"  # a million pixels on each side
        path = self.write("images/2_cat/third.png", bytes(bomb))
        self.assert_refused(self.plan, path, "1000000 x 1000000")

    def test_colliding_stems(self):
        path = self.write("images/2_cat/first.webp", png())
        self.assert_refused(self.plan, path.parent / "first.png", "first.webp", "same name")

    def assert_warned(self, *parts):
        """The plan is made, with one warning that has all `parts`."""
        result = self.plan("--cache_latents")
        self.assertEqual(result.returncode, 0, result.stderr)
        lines = [line for line in result.stderr.splitlines() if "warning" in line]
        self.assertEqual(len(lines), 1, result.stderr)
        for part in parts:
            self.assertIn(str(part), lines[0])

    def test_content_of_another_format(self):
        path = self.write("images/2_cat/first.jpg", png())
        (path.parent / "first.png").unlink()
        self.assert_warned(path, "another format than the extension says")

    def test_transparency_that_no_background_is_said_for(self):
        path = self.write("images/2_cat/first.png", (IMAGES / "rgba.png").read_bytes())
        self.assert_warned(path, "transparency")

    def test_animated(self):
        path = self.write("images/2_cat/first.png", (IMAGES / "animated.png").read_bytes())
        self.assert_warned(path, "several frames", "first is used")

    def test_unusual_pixels(self):
        """Turned by EXIF, CMYK, 16 bits, palette, grey: read as what they show (unit.ReadImage compares the pixels)."""
        for name in ("orientation_6.jpg", "cmyk.jpg", "ycck.jpg", "rgb_16_bit.png", "palette.png", "grey.png",
                     "grey_16_bit.png"):
            self.write(f"images/2_cat/{name}", (IMAGES / name).read_bytes())
            self.write(f"images/2_cat/{Path(name).stem}.txt", b"a cat")
        result = self.plan("--cache_latents")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertNotIn("warning", result.stderr)

    def test_formats_that_are_not_read(self):
        path = self.write("images/2_cat/third.png", b"GIF89a" + bytes(20))
        self.assert_refused(self.plan, path, "a GIF image")


class Captions(CliTest):
    def test_empty(self):
        path = self.write("images/2_cat/first.txt", b"")
        self.assert_refused(self.plan, path, "empty")

    def test_not_utf8(self):
        path = self.write("images/2_cat/first.txt", b"caf\xe9")
        self.assert_refused(self.plan, path, "UTF-8")

    def test_dataset_file_not_utf8(self):
        path = self.write("data.toml", b"[[datasets]]\nresolution = 64\n# caf\xe9\n")
        self.assert_refused(lambda: self.plan(train_data_dir=None, dataset_config=path), path, "UTF-8")


if __name__ == "__main__":
    main()
