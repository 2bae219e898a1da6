"""Images and captions: every fault is found before a model loads, and the line names the file."""

from harness import CliTest, main, png


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


class Captions(CliTest):
    def test_empty(self):
        path = self.write("images/2_cat/first.txt", b"")
        self.assert_refused(self.plan, path, "empty")

    def test_not_utf8(self):
        path = self.write("images/2_cat/first.txt", b"caf\xe9")
        self.assert_refused(self.plan, path, "UTF-8")


if __name__ == "__main__":
    main()
