"""Writes clip_corpus.bin.gz: strings and their CLIP token ids by transformers' slow tokenizer (with ftfy installed).

Needs: pip install transformers==4.54.1 ftfy==6.3.1 regex; argument: a folder with CLIP's vocab.json and merges.txt.
Per string: u32 length in bytes, UTF-8 (lone surrogates in three bytes), u32 number of ids, u16 ids. Little endian.
"""

import gzip
import html.entities
import json
import pathlib
import random
import struct
import sys
import unicodedata

import ftfy.chardata as chardata
from transformers import CLIPTokenizer

FOLDER = pathlib.Path(__file__).parent
r = random.Random(20240607)
tokenizer_folder = pathlib.Path(sys.argv[1])

LANGUAGES = """The quick brown fox isn't jumping; it's sleeping. Don't you'll we've I'm they're he'd!
Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich – „schön“, nicht wahr?
Voix ambiguë d’un cœur qui, au zéphyr, préfère les jattes de kiwis… à l’été; où ça?
El pingüino Wenceslao hizo kilómetros bajo exhaustiva lluvia ¿qué? ¡sí! «niño»
À noite, vovô Kowalsky vê o ímã cair no pé do pinguim queixoso; àquela às avós
Pchnąć w tę łódź jeża lub ośm skrzyń fig; źdźbło, Łódź
Příliš žluťoučký kůň úpěl ďábelské ódy; Škoda, čeština
Árvíztűrő tükörfúrógép; őrült Ű
Pijamalı hasta yağız şoföre çabucak güvendi; İstanbul ISPARTA ılık
Glāžšķūņa rūķīši dzērumā čiepj Baha koncertflīģeļu vākus; Ąžuolas ėjo
Съешь же ещё этих мягких французских булок, да выпей чаю; ВГРС Ёлка №5
Ґанок, їжак, Єва — ў Ў ђ Ћ Џ
Ξεσκεπάζω την ψυχοφθόρα βδελυγμία; ΟΔΥΣΣΕΥΣ ΣΑΣ Σ ΑΣ. ΆΈΉΊΌΎΏ
نص حكيم له سر قاطع وذو شأن عظيم ٠١٢٣٤ ؟
עטלף אבק נס דרך מזגן שהתפוצץ כי חם
ऋषियों को सताने वाले दुष्ट राक्षसों के राजा रावण १२३
நீ போய் வா; ක්‍ෂ; ಕನ್ನಡ; తెలుగు; മലയാളം; বাংলা; ਪੰਜਾਬੀ; ગુજરાતી
เป็นมนุษย์สุดประเสริฐเลิศคุณค่า ๑๒๓
色は匂へど散りぬるを 我が世誰ぞ常ならん カタカナ ﾊﾝｶｸ がぎぐ が
天地玄黃,宇宙洪荒。日月盈昃,辰宿列張。「引号」《书》①②③
키스의 고유조건은 입술끼리 만나야 하고 한글 ᄒᆞᆫ글
ħ Ħ Đ đ ŋ Ŋ ə Ə ǅ ǆ ŉ ĳ ﬁ ﬂ ﬀ ﬃ ﬄ ﬅ ﬆ
∀x∈ℝ: ⌈x⌉ = −⌊−x⌋, α ∧ ¬β ≤ ∞ ≠ ∂ √2 ∫ ∑ ±1 × ÷ µ ½ ¾ ² ³
€100 £5 ¥20 ¢9 ©2020 ® ™ • † ‡ ‰ ‹a› … – — ‘a’ “b” „c‟ ‚d‛ ʼ
│┌┐┘├┤┬┼═║╒╬▀▄█▌▐░▒▓ ┻━┻ (ง'⌣')ง ¯\\_(ツ)_/¯ ( ͡° ͜ʖ ͡°)""".split("\n")

EMOJI = "😀 👍🏽 👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪🇯🇵 🏴󠁧󠁢󠁷󠁬󠁳󠁿 1️⃣ ❤️ ☺ ✔ ✂︎ 🧑🏿‍🚀 🤷‍♀️ ⌚ ©️".split()
TAGS = """1girl solo masterpiece best_quality (highres:1.2) [blurry] looking_at_viewer long-hair blue_eyes :3 ^_^ <lora:foo:0.8>
o_o @_@ 16:9 rating:safe score_9 artist:foo_bar \\(series\\) v1.5 don't it's girl's 80's 1990s 4k 8K UHD f/1.8 50mm
sks_person ohwx <|endoftext|> <|startoftext|> <|ENDOFTEXT|> <|StartOfText|> !! !!! ... ?! $5 50% #tag a.b,c;d 'll 'D 'S ''re""".split()
vocab_words = [k[:-4] for k in json.load(open(tokenizer_folder / "vocab.json")) if k.endswith("</w>")]
vocab_words = [w for w in vocab_words if w.isascii()]
ENTITIES = sorted(html.entities.html5)
CHARMAP = "".join(sorted({c for e in chardata.CHARMAP_ENCODINGS for c in bytes(range(0x80, 0x100)).decode(e)}))
ASSIGNED = [c for c in map(chr, range(0x110000)) if unicodedata.category(c) not in ("Cn", "Cs", "Co")]
COMMON_ASSIGNED = [c for c in ASSIGNED if unicodedata.name(c, "").split(" ")[0] not in ("CJK", "HANGUL", "TANGUT", "EGYPTIAN")]
MARKS = [c for c in ASSIGNED if unicodedata.combining(c)]
DECOMPOSABLE = [c for c in ASSIGNED if unicodedata.decomposition(c)]
CASED = [c for c in ASSIGNED if c.lower() != c or c.upper() != c]
CONTROLS = [chr(c) for c in [*range(0x20), *range(0x7F, 0xA1), 0xAD, 0x61C, 0x180E, *range(0x2000, 0x2070), 0x3000, 0xFEFF,
                             *range(0xFFF0, 0x10000), 0x1D173, 0xE0001, 0xE0067]]
SUSPECTS = [c for c in CHARMAP if ord(c) < 0x250 or ord(c) > 0x2000] + list("ВГРСвЂГўβ€ΒΓΞΟā ÂÃÎÐØÙàŒœ°a z.\n")


def words(n):
    return " ".join(r.choice(vocab_words) for _ in range(n))


def pick(pool, n):
    return "".join(r.choice(pool) for _ in range(n))


def snippet(size=40):
    line = r.choice(LANGUAGES)
    a = r.randrange(len(line))
    return line[a : a + r.randint(1, size)]


def misread(text):
    for _ in range(r.choice([1, 1, 1, 2])):
        encoding = r.choice(chardata.CHARMAP_ENCODINGS)
        text = text.encode("utf-8", "surrogatepass").decode(encoding)
    damage = r.random()
    if damage < 0.15:
        text = text.replace("\xa0", " ")
    elif damage < 0.3:
        text = "".join("\ufffd" if "\x80" <= c <= "\x9f" or r.random() < 0.05 else c for c in text)
    elif damage < 0.4:
        text = "".join("?" if r.random() < 0.1 else c for c in text)
    elif damage < 0.5:
        a = r.randrange(len(text)) if text else 0
        text = text[:a] + text[a + 1 :]
    return text


def misread_character():
    """One character of the ranges that mojibake rules are about."""
    code = r.choice([r.randrange(0x80, 0x800), r.randrange(0x900, 0x1200), r.randrange(0x2000, 0x2300)])
    return chr(code).encode().decode(r.choice(chardata.CHARMAP_ENCODINGS)) + r.choice(["", "a", " ", "²"])


def entity():
    kind = r.randrange(6)
    if kind == 0:
        return "&#%d;" % r.choice([r.randrange(300), r.randrange(0x120000), 10**20])
    if kind == 1:
        return "&#%s%x%s" % (r.choice("xX"), r.randrange(0x3000), r.choice([";", "", "g;"]))
    name = r.choice(ENTITIES)
    if kind == 2:
        name = name.upper()
    return ("&amp;" if kind == 3 else "&") + name


def cesu8(text):
    units = text.encode("utf-16-le", "surrogatepass")
    text = "".join(chr(units[i] | units[i + 1] << 8) for i in range(0, len(units), 2))
    return text.encode("utf-8", "surrogatepass")


MAKERS = {
    1200: lambda: ", ".join(r.choice([words(r.randint(1, 3)), r.choice(TAGS)]) for _ in range(r.randint(1, 8))),
    1000: lambda: "".join(r.choice([words(1), r.choice(TAGS), r.choice(EMOJI), snippet(12), " ", ""]) for _ in range(6)),
    1401: lambda: misread(snippet()),
    901: lambda: snippet(20) + r.choice(["", " "]) + misread(snippet(20)) + snippet(20),
    500: lambda: misread(r.choice(LANGUAGES)),
    1502: lambda: r.choice(["", "", "a", "Z", " ", ". ", "é"]) + misread_character(),
    1500: lambda: pick(SUSPECTS, r.randint(2, 8)),
    700: lambda: pick(CHARMAP, r.randint(2, 12)) + words(1),
    400: lambda: bytes(r.randrange(256) for _ in range(r.randint(2, 16))).decode(r.choice(chardata.CHARMAP_ENCODINGS)),
    300: lambda: cesu8(snippet(5) + r.choice(["😀", "\ud83d", "𝒥", ""])).decode(r.choice(["latin-1", "sloppy-windows-1252"]))
    + r.choice(["", "\n", "\xc0\x80", "\xc0\n"]),
    800: lambda: r.choice(["", "", "<b>", "a<b\n"]) + words(1) + entity() + r.choice(["", " ", "\n"]) + entity() + snippet(3),
    1100: lambda: pick(COMMON_ASSIGNED, r.randint(1, 12)),
    501: lambda: pick(ASSIGNED, r.randint(1, 6)),
    502: lambda: "".join(r.choice([r.choice(DECOMPOSABLE), r.choice(MARKS), "a", "がか"]) for _ in range(r.randint(1, 8))),
    503: lambda: "".join(r.choice([r.choice(CASED), "Σ", "σ", ".", " ", "'", r.choice(MARKS)]) for _ in range(r.randint(1, 9))),
    701: lambda: "".join(r.choice([r.choice(CONTROLS), r.choice(CONTROLS), words(1), "é"]) for _ in range(r.randint(1, 8))),
    201: lambda: "".join(r.choice(["\ud83d", "\ude00", "a", "é", chr(r.randrange(0xD800, 0xE000))]) for _ in range(5)),
    202: lambda: "".join(r.choice(["\x1b[", "31", ";", "m", "٣", "a", "\x1b", " K", "[0m"]) for _ in range(r.randint(2, 9))),
    302: lambda: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" and r.random() < 0.7 else c for c in words(2)) + snippet(4),
    203: lambda: "".join(r.choice(TAGS + ["ſ", "'ſ", "<|", "|>", "<|ſtartoftext|>", " "]) for _ in range(r.randint(1, 6))),
    204: lambda: "\n".join(r.choice([misread(snippet(15)), entity(), snippet(9), "a<b", "\r"]) for _ in range(4)),
}
FIXED = ["", " ", "\n", "\u0345", "a\u0345b", "ΑΣ", "ΑΣ\u0301", "Σ", "İ", "ﬅ", "&", "&;", "&#59;", "&#;", "&#x;", "\ufeff", "a" * 3000, "é" * 700,
         "lol" * 400, "&" * 500, "Ã" * 300, "â€" * 200, "é" * 200, "voilÃ le travail", "à la mode", "&NTILDE;&SZLIG;",
         "dГўВЂВ™un", "d ГўВЂВ” un", ".Â word", "‚âà", "┬»", "à²£", "×²", " Â¥Z"]
FIXED += [chr(c) + "x" for c in range(0xFEE0, 0x10000)] + [chr(c) for c in range(0x2FF)]
FIXED += [f"x&{name}y&{name.upper()}" for name in ENTITIES]
FIXED += ["".join(COMMON_ASSIGNED[i : i + 40]) for i in range(0, len(COMMON_ASSIGNED), 40)]


def main():
    tokenizer = CLIPTokenizer(tokenizer_folder / "vocab.json", tokenizer_folder / "merges.txt")
    texts = dict.fromkeys(FIXED)
    for count, make in MAKERS.items():
        for _ in range(count):
            texts[make()] = None
    out = bytearray()
    for text in texts:
        utf8 = text.encode("utf-8", "surrogatepass")
        ids = tokenizer(text).input_ids[1:-1]
        out += struct.pack("<I", len(utf8)) + utf8 + struct.pack(f"<I{len(ids)}H", len(ids), *ids)
    (FOLDER / "clip_corpus.bin.gz").write_bytes(gzip.compress(bytes(out), 9, mtime=0))
    print(len(texts), "strings")


main()
