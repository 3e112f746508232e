"""Exact bytes of every token, and text to tokens and back, on every kind of tokenizer."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import made_tokenizers as made
from support.made_models import loaded_with

from tokexplore.models.engine.text.byte_table import byte_characters, vocabulary_of
from tokexplore.models.engine.text.encode import encode
from tokexplore.models.errors import UsageError

TEXTS = st.text(
    st.one_of(
        st.characters(blacklist_categories=("Cs",), blacklist_characters="▁"),
        st.sampled_from(list(" \n\tanthe国王你好é👩‍🚀")),
    ),
    max_size=24,
).filter(lambda text: "<s>" not in text and "</s>" not in text)


@pytest.fixture(scope="module", params=made.KINDS)
def kind(request: pytest.FixtureRequest) -> tuple[str, Any]:
    return request.param, loaded_with(made.wrapped(made.KINDS[request.param]()))


def joined(loaded: Any, ids: list[int]) -> bytes:
    return b"".join(map(loaded.vocabulary.bytes_of, ids))


@settings(max_examples=60)
@given(text=TEXTS)
def test_the_bytes_of_a_prompt_are_its_text(kind: tuple[str, Any], text: str) -> None:
    name, loaded = kind
    ids = encode(loaded, text, continuation=False)
    assert ids[0] == loaded.bos_id
    found = joined(loaded, ids[1:])
    spaced = {text.encode(), b" " + text.encode()} if name in made.SPACED else {text.encode()}
    assert found in spaced


@settings(max_examples=60)
@given(text=TEXTS)
def test_the_bytes_of_a_continuation_are_exactly_its_text(kind: tuple[str, Any], text: str) -> None:
    _, loaded = kind
    assert joined(loaded, encode(loaded, text, continuation=True)) == text.encode()


def test_every_id_has_bytes_and_agrees_with_the_decoder(kind: tuple[str, Any]) -> None:
    """A token after a stable one decodes to its own bytes, as the decoder sees it too."""
    _, loaded = kind
    tokenizer, vocabulary = loaded.tokenizer, loaded.vocabulary
    assert len(vocabulary) == len(tokenizer)
    before = encode(loaded, "the", continuation=True)
    for token in range(len(vocabulary)):
        data = vocabulary.bytes_of(token)
        assert data
        try:
            text = data.decode()
        except UnicodeDecodeError:
            continue
        decoded = tokenizer.decode([*before, token], clean_up_tokenization_spaces=False)
        assert decoded.endswith("the" + text), token


def test_special_tokens_in_a_continuation_bring_no_spaces(kind: tuple[str, Any]) -> None:
    _, loaded = kind
    text = "the wolf</s>in<s>国王</s>"
    ids = encode(loaded, text, continuation=True)
    assert joined(loaded, ids) == text.encode()
    assert [i for i in ids if i in loaded.vocabulary.special] == [
        *loaded.eos_ids,
        loaded.bos_id,
        *loaded.eos_ids,
    ]


def test_chinese_is_whole_or_in_bytes() -> None:
    loaded = loaded_with(made.wrapped(made.llama_two()))
    ids = encode(loaded, "国王女", continuation=True)
    shown = [loaded.vocabulary.show(i) for i in ids]
    assert shown == ["国王", "<E5>", "<A5>", "<B3>"]
    assert loaded.vocabulary.text(ids) == "国王女"


def test_the_first_space_of_a_prompt_is_kept_as_a_byte() -> None:
    loaded = loaded_with(made.wrapped(made.llama_two()))
    ids = encode(loaded, "the king", continuation=False)
    assert [loaded.vocabulary.show(i) for i in ids[:2]] == ["<s>", "␣the"]


@settings(max_examples=40)
@given(text=TEXTS)
def test_the_running_text_of_a_prompt_is_the_prompt(kind: tuple[str, Any], text: str) -> None:
    name, loaded = kind
    assert loaded.vocabulary.leading_space == (name in made.SPACED)
    ids = encode(loaded, text, continuation=False)
    if b" " + text.encode() == joined(loaded, ids[1:]) or name not in made.SPACED:
        assert loaded.vocabulary.text(ids) == text
        assert "".join(loaded.vocabulary.pieces(ids)) == "<s>" + text


def test_only_the_first_space_of_a_path_is_left_out() -> None:
    vocabulary = loaded_with(made.wrapped(made.llama_two())).vocabulary
    assert vocabulary.leading_space
    names = {vocabulary.show(i): i for i in range(len(vocabulary))}
    start, the, space = names["<s>"], names["␣the"], names["␣"]
    assert vocabulary.text([start, the, the]) == "the the"
    assert vocabulary.text([the, the]) == " the the"
    assert vocabulary.pieces([start, space, the]) == ["<s>", "", " the"]
    assert vocabulary.text([start]) == ""
    assert vocabulary.text([start, the, 9_999]) == "the"


def test_special_tokens_are_literal_and_flagged() -> None:
    loaded = loaded_with(made.wrapped(made.byte_level(extra=["<｜begin▁of▁turn｜>"])))
    turn = loaded.tokenizer.convert_tokens_to_ids("<｜begin▁of▁turn｜>")
    assert loaded.vocabulary.bytes_of(turn) == "<｜begin▁of▁turn｜>".encode()
    assert loaded.vocabulary.special == {turn, loaded.bos_id, *loaded.eos_ids}
    assert encode(loaded, "</s>", continuation=True) == list(loaded.eos_ids)


def test_a_special_token_of_the_base_vocabulary_is_literal() -> None:
    tokenizer = made.gemma()
    tokenizer.add_special_tokens([made.TURN])
    loaded = loaded_with(made.wrapped(tokenizer))
    turn = made.pieces_vocabulary()[0][made.TURN]
    assert encode(loaded, made.TURN, continuation=True) == [turn]
    assert loaded.vocabulary.bytes_of(turn) == made.TURN.encode()
    assert turn in loaded.vocabulary.special


def test_ordinary_added_tokens_are_their_literal_and_not_special() -> None:
    tokenizer = made.with_added(made.byte_level(), "naïve café", "国王说")
    loaded = loaded_with(made.wrapped(tokenizer))
    ids = encode(loaded, "naïve café国王说", continuation=True)
    assert len(ids) == 2
    assert joined(loaded, ids) == "naïve café国王说".encode()
    assert not loaded.vocabulary.special & set(ids)


def test_a_byte_spelled_in_the_text_is_not_a_byte() -> None:
    loaded = loaded_with(made.wrapped(made.byte_level()))
    assert joined(loaded, encode(loaded, "<0x41>", continuation=True)) == b"<0x41>"


def test_word_pieces_have_their_space_and_continuations_do_not() -> None:
    loaded = loaded_with(made.wrapped(made.word_piece(), bos=None, eos=None))
    ids = encode(loaded, "the kingly", continuation=True)
    assert [loaded.vocabulary.bytes_of(i) for i in ids] == [b" the", b" king", b"ly"]


def test_padding_rows_have_no_bytes() -> None:
    loaded = loaded_with(made.wrapped(made.gemma()), rows=9_999)
    assert loaded.vocabulary.rows == 9_999
    assert loaded.vocabulary.bytes_of(9_998) == b""
    assert loaded.vocabulary.show(9_998) == "<id 9998>"


def test_the_byte_characters_are_gpt_twos() -> None:
    table = byte_characters()
    assert sorted(table.values()) == list(range(256))
    assert (table["Ġ"], table["Ċ"], table["A"], table["ł"]) == (0x20, 0x0A, 0x41, 0xA0)


def test_an_empty_prompt_is_bos_else_eos_else_refused() -> None:
    with_both = loaded_with(made.wrapped(made.byte_level()))
    assert encode(with_both, "", continuation=False) == [with_both.bos_id]
    only_eos = loaded_with(made.wrapped(made.byte_level(), bos=None))
    assert encode(only_eos, "", continuation=False) == list(only_eos.eos_ids)
    neither = loaded_with(made.wrapped(made.byte_level(), bos=None, eos=None))
    with pytest.raises(UsageError, match="neither BOS nor EOS"):
        encode(neither, "", continuation=False)
    assert encode(neither, "", continuation=True) == []


def test_a_lone_surrogate_is_refused_by_its_place() -> None:
    loaded = loaded_with(made.wrapped(made.byte_level()))
    for continuation in (False, True):
        with pytest.raises(UsageError, match=r"character 3 .* U\+D800"):
            encode(loaded, "ab\ud800", continuation=continuation)


def test_a_token_beyond_the_model_is_refused() -> None:
    loaded = loaded_with(made.wrapped(made.byte_level()), rows=50)
    with pytest.raises(UsageError, match="no row"):
        encode(loaded, "国王", continuation=False)


def test_tokenizers_written_in_python() -> None:
    pieces = vocabulary_of(
        made.Slow({"▁a": 0, "<0xE5>": 1, "国": 2, "</s>": 3}, eos_token="</s>"), 4
    )
    assert [pieces.bytes_of(i) for i in range(4)] == [b" a", b"\xe5", "国".encode(), b"</s>"]
    assert pieces.special == {3}
    raw = vocabulary_of(made.Slow({b"\xe5\x9b": 0, b"\xbd": 1}), 2)
    assert [raw.bytes_of(i) for i in range(2)] == [b"\xe5\x9b", b"\xbd"]
    spelled = made.Slow({"Ġa": 0, "å": 1, "国": 2})
    spelled.byte_decoder = byte_characters()
    assert [vocabulary_of(spelled, 3).bytes_of(i) for i in range(3)] == [
        b" a",
        b"\xe5",
        "国".encode(),
    ]
