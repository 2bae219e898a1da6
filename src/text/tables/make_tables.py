"""Writes the .inc tables of this folder. Needs: pip install ftfy==6.3.1 regex

Sources: Python's html.entities (WHATWG named character references) and codecs, the Unicode data of the `regex` package,
and the character categories of ftfy (Apache-2.0, Robyn Speer).
"""

import pathlib
import re

import ftfy.badness
import ftfy.chardata
import regex

FOLDER = pathlib.Path(__file__).parent
SURROGATES = range(0xD800, 0xE000)


def write(name, what, items):
    lines, line = [f"// {what} Written by make_tables.py."], ""
    for item in items:
        if len(line) + len(item) + 2 > 120:
            lines.append(line)
            line = ""
        line += (" " if line else "") + item + ","
    (FOLDER / name).write_text("\n".join(lines + [line]) + "\n")


def ranges(value_of):
    """(first, last, value) of runs of equal values other than 0."""
    first, value = 0, 0
    for code in range(0x110001):
        new = 0 if code == 0x110000 or code in SURROGATES else value_of(chr(code))
        if new != value:
            if value:
                yield first, code - 1, value
            first, value = code, new


def entities():
    for name, text in sorted((name[1:-1], text) for name, text in ftfy.chardata.HTML_ENTITIES.items()):
        codes = [ord(c) for c in text]
        assert len(codes) <= 3, name
        yield '{"%s", {%s}}' % (name, ", ".join(f"0x{c:X}" for c in codes))


def letters():
    """1: letter, 2: number, as CLIP's word pattern sees them (it ignores case, which drops U+0345 from every class)."""
    letter, number = regex.compile(r"[\p{L}]", regex.I), regex.compile(r"[\p{N}]", regex.I)
    other, space = regex.compile(r"[^\s\p{L}\p{N}]", regex.I), regex.compile(r"\s")

    def kind(c):
        kinds = [bool(p.match(c)) for p in (letter, number, other, space)]
        assert sum(kinds) == 1 or c == "\u0345", hex(ord(c))
        return 1 if kinds[0] else 2 if kinds[1] else 0

    return ("{0x%X, 0x%X, %d}" % r for r in ranges(kind))


def mojibake():
    sets = [ftfy.badness.MOJIBAKE_CATEGORIES[n] for n in (
        "common c1 bad law currency start_punctuation end_punctuation numeric kaomoji upper_accented lower_accented "
        "upper_common lower_common box").split()]
    sets += [ftfy.chardata.UTF8_CLUES[n] for n in (
        "utf8_first_of_2 utf8_first_of_3 utf8_first_of_4 utf8_continuation utf8_continuation_strict").split()]
    patterns = [re.compile(f"[{s}]") for s in sets]
    bits = lambda c: sum(bool(p.match(c)) << i for i, p in enumerate(patterns))
    return ("{0x%X, 0x%X, 0x%X}" % r for r in ranges(bits))


def encodings():
    upper = bytes(range(0x80, 0x100))
    for name in ftfy.chardata.CHARMAP_ENCODINGS[1:]:
        text = upper.decode(name)
        assert len(set(text)) == 128 and min(text) >= "\x80"
        assert bytes([0x1A]).decode(name) == ("\ufffd" if name.startswith("sloppy") else "\x1a")
        yield from (f"0x{ord(c):X}" for c in text)


write("html_entities.inc", "HTML5 entities, and upper-case spellings that ftfy accepts: name, code points.", entities())
write("letters.inc", "First, last, 1 for letters (L*) or 2 for numbers (N*), Unicode 17.", letters())
write("mojibake_classes.inc", "First, last, bits of MojibakeClass; from ftfy 6.3.1 (Apache-2.0).", mojibake())
write("legacy_encodings.inc", "Code points of bytes 80 to FF, for each encoding of legacy_encodings.h but Latin-1.", encodings())
