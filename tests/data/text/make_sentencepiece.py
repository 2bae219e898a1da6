"""Writes what tests/unit/text reads about T5's and Gemma's tokenizers, as transformers' fast tokenizers have it.

Needs: pip install transformers==4.54.1 tokenizers==0.21.4 sentencepiece==0.2.1 protobuf; argument: a folder with
google_t5-v1_1-xxl/spiece.model and google_gemma-2-2b/tokenizer.model (the second may be missing: its sums are kept).

  sentencepiece_corpus.bin.gz  strings besides those of clip_corpus.bin.gz: u32 length in bytes, UTF-8
  small_gemma.model            a byte-pair model of Gemma's kind, trained here
  sentencepiece_ids.json       ids of some strings, for reading
  ids_{t5,gemma,small_gemma}.crc  CRC-32 of the ids (u32, little endian) of every string, first the CLIP corpus's
                               without surrogates, then ours

With --compare NAME FILE it tells what ids the strings have whose sums in FILE (u32 each) differ.
"""

import gzip
import io
import json
import pathlib
import random
import struct
import sys
import zlib

import sentencepiece
from transformers import GemmaTokenizerFast, T5TokenizerFast

HERE = pathlib.Path(__file__).parent
r = random.Random(20261125)


def clip_corpus():
    data = gzip.decompress((HERE / "clip_corpus.bin.gz").read_bytes())
    at, texts = 0, []
    while at < len(data):
        (size,) = struct.unpack_from("<I", data, at)
        text = data[at + 4 : at + 4 + size].decode("utf-8", "surrogatepass")
        (count,) = struct.unpack_from("<I", data, at + 4 + size)
        at += 8 + size + 2 * count
        if not any("\ud800" <= c <= "\udfff" for c in text):
            texts.append(text)
    return texts


LINES = """a photo of an old lighthouse at dusk, warm light, long exposure, 35mm film
Zwei Füchse schlafen im Schnee; daneben liegt ein roter Schlitten (1987).
Une aquarelle d’un marché: pommes à 3,50 €, poires à 12€ — l’été.
Портрет рыбака с сетью, масло, 19-й век
雨の夜の街、ネオン、傘をさす人 桜が咲く
一只猫坐在窗台上,看着外面的雪。高清摄影
고양이가 창가에 앉아 있다
قطة تجلس على النافذة तस्वीर में एक बिल्ली है แมวนั่งอยู่ริมหน้าต่าง
def paint(x):\n\treturn [i ** 2 for i in range(10)]\n\n# done
<table><tr><td>1</td></tr></table> 3.14159 1,000,000 2026-11-25 #hashtag @name https://example.org/a?b=c&d=e
a woman wearing a blue raincoat stands under a bridge while two children feed pigeons beside the river
close-up of a beetle on a leaf, macro, shallow depth of field, dew drops, morning, highly detailed
an isometric diorama of a bakery with tiny bread rolls, pastel colours, soft shadows""".split("\n")
LINES = [line.replace("\\n", "\n").replace("\\t", "\t") for line in LINES if line]
MARKS = """</s> <pad> <unk> <s> <extra_id_0> <extra_id_99> <extra_id_100> <extra_id_07> <extra_id_0>> <bos> <eos> <mask> <2mass> [@BOS@]
<unused0> <unused98> <unused99> <start_of_turn> <end_of_turn> <h1> </h1> <table> <table > <0x0A> <0xFF> <Prompt Start> <b> </b> < /s>
＜/s＞ ＜pad＞ ＜unk＞ ＜extra_id_3＞ ＜bos＞ <|endoftext|> <<pad>> <pad<pad> <pad></s> ▁ ▁▁ ▁▁▁ ▁a""".replace("\n", " ").split(" ")
SPACES = [" ", "  ", "   ", "\t", "\n", "\n\n", "\n\n\n", "\r\n", "\r", "\u00a0", "\u3000", "\u2009", "\u200b", "\u2028", "\u0085", "\ufeff",
          "\x0b", "\x0c", "\x1c", "\u200d", "\u00ad", "\u1680", "\u180e"]
CONTROLS = [chr(c) for c in [*range(0x20), *range(0x7F, 0xA0)]]
EMOJI = "😀 👍🏽 👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪🇯🇵 🏴󠁧󠁢󠁷󠁬󠁳󠁿 1️⃣ ❤️ ☺ ✔ ✂︎ 🧑🏿‍🚀 🤷‍♀️ ⌚ ©️ 🫨 🩷".split()
MARKED = [chr(c) for c in [*range(0x300, 0x34F), 0x5B0, 0x64B, 0x93C, 0x94D, 0xE31, 0x20D0, 0x3099, 0x309A, 0xFE0F, 0xFE0E, 0x200D, 0x1F3FD]]
BASES = list("aeiouAEIOUnczsＡｱカハがﬁﬂ①²½™㎏℃ΩΑιयक각ㄱ한\u1100\u1161\u11a8\u0600\u00ad ")
ASSIGNED = [chr(c) for c in range(0x20, 0x20000) if not 0xD800 <= c < 0xE000]


def pick(pool, low, high):
    return "".join(r.choice(pool) for _ in range(r.randint(low, high)))


def snippet(size=40):
    line = r.choice(LINES)
    a = r.randrange(len(line))
    return line[a : a + r.randint(1, size)]


MAKERS = {
    700: lambda: "".join(r.choice([r.choice(MARKS), r.choice(MARKS), snippet(8), r.choice(SPACES), ""]) for _ in range(r.randint(1, 7))),
    600: lambda: "".join(r.choice([r.choice(SPACES), r.choice(SPACES), snippet(6)]) for _ in range(r.randint(1, 9))),
    500: lambda: "".join(r.choice(BASES) + pick(MARKED, 0, 3) for _ in range(r.randint(1, 6))),
    501: lambda: "".join(r.choice([r.choice(EMOJI), snippet(10), " "]) for _ in range(r.randint(1, 8))),
    301: lambda: "".join(r.choice([r.choice(CONTROLS), snippet(9)]) for _ in range(r.randint(1, 8))),
    502: lambda: pick(ASSIGNED, 1, 12),
    302: lambda: pick("abc .,!?-_0123456789'\"", 1, 30) * r.randint(1, 6),
    200: lambda: r.choice(["a", "!", "ab", "é", "😀", "の", "_", "1", "\n", " ", "▁", "\t", "~-"]) * r.randint(1, 300),
    400: lambda: ", ".join(snippet(60) for _ in range(r.randint(2, 20))),
    20: lambda: pick([*LINES, *SPACES, *EMOJI], 60, 200),
}
FIXED = ["", " ", "  ", "\n", "a", " a", "a ", " a ", "▁", "\0", "a\0b", "\0\0", "\r\n", "a\r\nb", "</s>", " </s> ", "a</s>b", "a </s> b", "a  </s>  b",
         "x" * 20000, "wort " * 3000, "の" * 5000, "\t" * 40, "\n" * 64, " " * 64, "<pad>" * 30, "￾", "\U0010ffff", "\U000e0001"]


def our_corpus(known):
    texts = dict.fromkeys(FIXED)
    for count, make in MAKERS.items():
        for _ in range(count):
            texts[make()] = None
    return [text for text in texts if text not in known]


def train_small(texts):
    """Settings of Gemma's model: bare text, digits apart, bytes for what is unknown, runs of white space as pieces."""
    lines = LINES * 20 + r.sample([t for t in texts if t.isascii() and 20 < len(t) < 400], 1500)
    model = io.BytesIO()
    symbols = ["<mask>", "[@BOS@]", "<unused0>", "<start_of_turn>", "<end_of_turn>", *["\n" * n for n in range(1, 6)],
               *["▁" * n for n in range(2, 7)], "<table>", "</table>", "<h1>", "</h1>", "<b>", "</b>"]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, model_type="bpe", vocab_size=1800, byte_fallback=True, character_coverage=0.995,
        pad_id=0, eos_id=1, bos_id=2, unk_id=3, pad_piece="<pad>", eos_piece="<eos>", bos_piece="<bos>", unk_piece="<unk>",
        normalization_rule_name="identity", add_dummy_prefix=False, remove_extra_whitespaces=False, split_digits=True,
        allow_whitespace_only_pieces=True, user_defined_symbols=symbols, num_threads=1, minloglevel=2)
    (HERE / "small_gemma.model").write_bytes(model.getvalue())


def sums(ids):
    return struct.pack(f"<{len(ids)}I", *[zlib.crc32(struct.pack(f"<{len(row)}I", *row)) for row in ids])


def main():
    clip = clip_corpus()
    ours = our_corpus(set(clip))
    (HERE / "sentencepiece_corpus.bin.gz").write_bytes(
        gzip.compress(b"".join(struct.pack("<I", len(b)) + b for b in (t.encode() for t in ours)), 9, mtime=0))
    texts = clip + ours
    train_small(texts)
    folder = pathlib.Path(sys.argv[1])
    small = pathlib.Path("/tmp/small_gemma")
    small.mkdir(exist_ok=True)
    (small / "tokenizer.model").write_bytes((HERE / "small_gemma.model").read_bytes())
    tokenizers = {"t5": T5TokenizerFast.from_pretrained(folder / "google_t5-v1_1-xxl"), "small_gemma": GemmaTokenizerFast.from_pretrained(small)}
    if (folder / "google_gemma-2-2b").exists():
        tokenizers["gemma"] = GemmaTokenizerFast.from_pretrained(folder / "google_gemma-2-2b")
    shown = {}
    for name, tokenizer in tokenizers.items():
        ids = [tokenizer(text, add_special_tokens=False).input_ids for text in texts]
        if "--compare" in sys.argv and sys.argv[sys.argv.index("--compare") + 1] == name:
            theirs = pathlib.Path(sys.argv[-1]).read_bytes()
            for i, text in enumerate(texts):
                if theirs[4 * i : 4 * i + 4] != sums([ids[i]]):
                    print(repr(text[:200]), ids[i][:60], tokenizer.convert_ids_to_tokens(ids[i])[:60])
            continue
        (HERE / f"ids_{name}.crc").write_bytes(sums(ids))
        shown[name] = [[text, row] for text, row in zip(texts, ids) if len(text) < 40][-4000::100]
        # How often SentencePiece itself, which the slow tokenizers are made of, gives others.
        plain = sentencepiece.SentencePieceProcessor(str(tokenizer.vocab_file))
        print(name, len(texts), "strings,", sum(plain.encode(t) != row for t, row in zip(texts, ids)), "differ in SentencePiece itself")
    if shown:
        (HERE / "sentencepiece_ids.json").write_text(json.dumps(shown, ensure_ascii=True, indent=None, separators=(",", ":")) + "\n")


main()
