"""Names of tokens in a text: read as their characters where that was asked, and BOS but once."""

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import made_tokenizers as made
from support.made_models import loaded_with
from tokenizers import AddedToken, processors
from transformers import PreTrainedTokenizerFast

from tokexplore.models.engine.text.byte_table import adds_bos
from tokexplore.models.engine.text.encode import encode
from tokexplore.models.errors import UsageError

NAMED = ("<s>", "</s>", "<think>", "<|im_end|>")
TEXTS = st.lists(
    st.one_of(
        st.sampled_from([*NAMED, *(name[1:] for name in NAMED)]), st.text("a <国\n", max_size=3)
    )
).map("".join)


@pytest.fixture(scope="module", params=made.KINDS)
def kind(request: pytest.FixtureRequest) -> tuple[str, Any]:
    """With a special token and an ordinary added one."""
    tokenizer = made.with_added(made.KINDS[request.param](), "<think>")
    tokenizer.add_special_tokens(["<|im_end|>"])
    return request.param, loaded_with(made.wrapped(tokenizer))


def joined(loaded: Any, ids: list[int]) -> bytes:
    return b"".join(map(loaded.vocabulary.bytes_of, ids))


def named(loaded: Any) -> set[int]:
    return {loaded.tokenizer.convert_tokens_to_ids(name) for name in NAMED}


@settings(max_examples=60)
@given(text=TEXTS)
def test_a_literal_text_has_its_bytes_and_none_of_the_tokens_that_it_names(
    kind: tuple[str, Any], text: str
) -> None:
    name, loaded = kind
    more = encode(loaded, text, continuation=True, literal=True)
    assert joined(loaded, more) == text.encode()
    assert not named(loaded) & set(more)
    bos, *ids = encode(loaded, text, continuation=False, literal=True)
    assert bos == loaded.bos_id
    assert not named(loaded) & set(ids)
    spaced = {text.encode(), b" " + text.encode()} if name in made.SPACED else {text.encode()}
    assert joined(loaded, ids) in spaced


NAMES = re.compile("</?s>|<think>")


@settings(max_examples=30)
@given(text=st.text("aotheking 国王<>/", max_size=20).filter(lambda t: not NAMES.search(t)))
def test_a_text_that_names_no_token_is_read_as_ever(kind: tuple[str, Any], text: str) -> None:
    _, loaded = kind
    for continuation in (False, True):
        read = encode(loaded, text, continuation=continuation)
        assert read == encode(loaded, text, continuation=continuation, literal=True)


@pytest.mark.parametrize("name", ["byte level", "gemma"])
def test_the_tokens_are_those_of_a_tokenizer_without_the_names(name: str) -> None:
    """Not cut where a name begins or ends."""
    text = "a king</s> who said<think> the end<|im_end|>"
    bare = PreTrainedTokenizerFast(tokenizer_object=made.KINDS[name]())
    tokenizer = made.with_added(made.KINDS[name](), "<think>")
    tokenizer.add_special_tokens(["<|im_end|>"])
    loaded = loaded_with(made.wrapped(tokenizer))
    expected = bare(text, add_special_tokens=False)["input_ids"]
    assert encode(loaded, text, continuation=True, literal=True) == expected


def test_a_run_of_spaces_or_one_character_that_is_a_token_is_text() -> None:
    tokenizer = made.byte_level()
    tokenizer.add_tokens([AddedToken("    ", normalized=False), AddedToken("国", special=True)])
    loaded = loaded_with(made.wrapped(tokenizer))
    spaces, land = map(loaded.tokenizer.convert_tokens_to_ids, ("    ", "国"))
    ids = encode(loaded, "a    </s>    国b", continuation=True, literal=True)
    assert (ids.count(spaces), ids.count(land)) == (2, 1)
    assert joined(loaded, ids) == "a    </s>    国b".encode()


def test_a_tokenizer_written_in_python_reads_names_as_characters() -> None:
    words = dict.fromkeys("a</s>")
    loaded = loaded_with(
        made.Slow({word: i for i, word in enumerate([*words, "</s>"])}, eos_token="</s>")
    )
    assert encode(loaded, "a</s>", continuation=True) == [0, 5]
    assert encode(loaded, "a</s>", continuation=True, literal=True) == [0, 1, 2, 3, 4]


def test_a_prompt_that_begins_with_bos_has_it_once(kind: tuple[str, Any]) -> None:
    """transformers' reading without the tokens that it adds is the oracle."""
    _, loaded = kind
    assert adds_bos(loaded.tokenizer)
    for text in ("<s>", "<s>the king", "<s><s>the king", "<s></s>"):
        own = loaded.tokenizer(text, add_special_tokens=False)["input_ids"]
        assert encode(loaded, text, continuation=False) == own
    later = encode(loaded, "the <s>", continuation=False)
    assert later.count(loaded.bos_id) == 2
    assert encode(loaded, "<s>a", continuation=False, literal=True).count(loaded.bos_id) == 1


def test_all_that_is_put_in_front_is_there_once() -> None:
    """GLM puts two tokens in front of a text."""
    tokenizer = made.byte_level(extra=["[gMASK]", "<sop>"])
    ids = [(name, tokenizer.token_to_id(name)) for name in ("[gMASK]", "<sop>")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[gMASK] <sop> $A", special_tokens=ids
    )
    loaded = loaded_with(made.wrapped(tokenizer, bos=None, eos=None))
    assert not adds_bos(loaded.tokenizer)
    once = encode(loaded, "the king", continuation=False)
    assert once == encode(loaded, "[gMASK]<sop>the king", continuation=False)
    assert [token for token, _ in zip(once, ids, strict=False)] == [token for _, token in ids]


def test_a_tokenizer_that_puts_no_bos_in_front_leaves_the_text_s_own() -> None:
    loaded = loaded_with(made.wrapped(made.byte_level(extra=["<s>"]), bos=None))
    loaded.bos_id = loaded.tokenizer.convert_tokens_to_ids("<s>")
    assert not adds_bos(loaded.tokenizer)
    ids = encode(loaded, "<s>the", continuation=False)
    assert ids == loaded.tokenizer("<s>the")["input_ids"]
    assert ids.count(loaded.bos_id) == 1


def test_no_text_is_taken_for_a_mark(kind: tuple[str, Any]) -> None:
    _, loaded = kind
    for character in map(chr, (0xD800, 0xDFFF)):
        for literal in (False, True):
            with pytest.raises(UsageError, match="character 2 is the lone surrogate"):
                encode(loaded, f"a{character}</s>", continuation=True, literal=literal)
