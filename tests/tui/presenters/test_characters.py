"""What tokens with parts of characters say of themselves, in words."""

from tokexplore.models.display import safe_text
from tokexplore.models.partial_characters import beginnings
from tokexplore.tui.presenters.characters import (
    character_lines,
    character_note,
    examples,
    range_words,
    scripts,
)

YOU = "你".encode()
PATH = [b" a", YOU[:1], YOU[1:2], YOU[2:], b"."]


def words(tokens: list[bytes], index: int) -> dict[str, str]:
    return dict(character_lines(tokens, index))


def test_each_token_of_a_character_says_what_it_became() -> None:
    assert words(PATH, 0) == {}
    first = words(PATH, 1)
    assert first["begins"].startswith("U+4000 to U+4FFF, mostly CJK: 一 ")
    assert first["became"] == "你 U+4F60, with the 2 tokens after it"
    second = words(PATH, 2)
    assert second["goes on"].startswith("after E4: U+4F40 to U+4F7F, CJK: ")
    assert second["became"] == "你 U+4F60, with the one before it and the one after it"
    assert words(PATH, 3) == {"became": "你 U+4F60, with the 2 tokens before it"}


def test_what_is_not_whole_yet_and_what_will_never_be() -> None:
    assert words(PATH[:3], 2)["became"] == "nothing yet: the path ends 1 byte before it does"
    assert words(PATH[:2], 1)["became"] == "nothing yet: the path ends 2 bytes before it does"
    broken = words([YOU[:2], b" the"], 0)["became"]
    assert broken == "no character: what follows E4 BD does not go on with it"
    lone = words([b"\xa0"], 0)
    assert lone == {"became": "no character: A0 goes on with one, and none is begun before it"}
    assert words([b"\xff"], 0) == {"became": "no character: FF is never part of UTF-8"}


def test_a_token_with_two_of_them_names_the_bytes_of_each() -> None:
    lines = list(character_lines([YOU[:2], YOU[2:] + b"\xe5"], 1))
    assert lines[0] == ("became", "A0: 你 U+4F60, with the one before it")
    assert lines[1][1].startswith("E5: U+5000 to U+5FFF, CJK: ")
    assert lines[2] == ("became", "E5: nothing yet: the path ends 2 bytes before it does")


def test_notes_beside_a_row() -> None:
    assert character_note([], b"\xe4").startswith("→ 一")
    assert character_note([], b"\xe4").endswith(" CJK")
    assert set(character_note(PATH[:2], b"\xbd")[2:5]) < set(map(chr, range(0x4F40, 0x4F80)))
    assert character_note(PATH[:3], b"\xa0") == "= 你"
    assert character_note(PATH[:1], b"\xa0") == "no character"
    assert character_note(PATH[:3], b" the") == character_note([], "好".encode()) == ""
    assert character_note([], b"\xf1") == "→ no characters yet"


def test_scripts_and_examples_of_what_can_begin() -> None:
    for head, script in (
        (b"\xd0", "Cyrillic"), (b"\xce", "Greek"), (b"\xec", "Hangul"), (b"\xe0\xa4", "Devanagari"),
        (b"\xf0\x9f\x98", "symbols"), (b"\xcc", "combining marks"), (b"\xf0\xa0", "CJK"),
    ):  # fmt: skip
        codes = beginnings(head)
        assert script in scripts(codes.start, codes.stop).names
        for character in examples(codes.start, codes.stop):
            assert character.encode().startswith(head)
            assert safe_text(character) == character
    assert range_words(beginnings(b"\xf1")) == "U+40000 to U+7FFFF, no characters yet"
    assert range_words(beginnings(b"\xf0")).startswith("U+10000 to U+3FFFF, some CJK")


def test_every_head_can_be_told() -> None:
    heads = [bytes([lead]) for lead in range(256)]
    heads += [bytes([lead, second]) for lead in range(0xE0, 0xF5) for second in range(0x80, 0xC0)]
    for head in heads:
        note = character_note([], head)
        assert bool(note) == (head[0] >= 0x80)
        assert note == safe_text(note)
        assert len(note) <= 60
