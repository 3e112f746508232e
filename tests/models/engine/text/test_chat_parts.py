"""Which tokens of a rendered conversation are the template's, and which are words of a message."""

from typing import Any

import pytest
from support import made_tokenizers as made
from support.chat_families import FAMILIES, literal, loaded
from support.conversations import next_turn
from support.made_models import loaded_with

from tokexplore.models.api.chat import Chat, Message, Rendered
from tokexplore.models.engine.text.chat import append_turns, render
from tokexplore.models.engine.text.encode import encode

TALK = (
    Message("user", "a king <b>"),
    Message("assistant", "the user"),
    Message("user", "so 你好 why"),
)


def told(model: Any, rendered: Rendered) -> list[tuple[int, str, str, str]]:
    """Message, role, kind and text of each part."""
    rest, parts = list(rendered.ids), []
    for part in rendered.parts:
        ids, rest = rest[: part.tokens], rest[part.tokens :]
        parts.append((part.message, part.role, part.kind, literal(model, ids)))
    assert not rest
    return parts


def words(model: Any, rendered: Rendered) -> list[tuple[int, str, str]]:
    """What each message says; a space that the template writes may be in its first token."""
    parts = told(model, rendered)
    return [(n, role, text.lstrip()) for n, role, kind, text in parts if kind == "content"]


@pytest.mark.parametrize("name", FAMILIES)
def test_each_message_has_its_own_words(name: str) -> None:
    model = loaded(FAMILIES[name])
    rendered = render(model, Chat(TALK, "Sure, "))
    assert words(model, rendered) == [
        *((i, m.role, m.content) for i, m in enumerate(TALK)),
        (3, "assistant", "Sure, "),
    ]
    opened = told(model, render(model, Chat(TALK)))
    last = opened[-1]
    assert FAMILIES[name].opening.strip() in last[3]
    assert last[:3] == ((3 if FAMILIES[name].opening else 2), *last[1:2], "template")


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("ended", [False, True])
def test_turns_that_follow_have_theirs(name: str, ended: bool) -> None:
    model = loaded(FAMILIES[name])
    path = [*render(model, Chat(TALK[:1])).ids, *encode(model, "the user", continuation=True)]
    added = next_turn(model, path + list(model.eos_ids[:1] * ended), Chat(TALK[:1]), "so 你好 why")
    assert words(model, added) == [(2, "user", "so 你好 why")]
    numbers = [number for number, *_ in told(model, added)]
    assert numbers == sorted(numbers)
    assert set(numbers) <= {1, 2, 3}


def chatml(message: str, before: str = "") -> Any:
    template = (
        before + "{% for m in messages %}<|im_start|>{{ m.role }}\n" + message + "<|im_end|>\n"
        "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    tokenizer = made.byte_level(extra=["<|im_start|>", "<|im_end|>"])
    return loaded_with(made.wrapped(tokenizer, eos="<|im_end|>", chat_template=template))


def test_a_system_prompt_of_the_template_s_own_is_no_message() -> None:
    before = (
        "{% if messages[0].role != 'system' %}<|im_start|>system\nbe brief<|im_end|>\n{% endif %}"
    )
    model = chatml("{{ m.content }}", before)
    assert told(model, render(model, Chat(TALK[:1]))) == [
        (-1, "", "template", "<|im_start|>system\nbe brief<|im_end|>\n"),
        (0, "user", "template", "<|im_start|>user\n"),
        (0, "user", "content", "a king <b>"),
        (0, "user", "template", "<|im_end|>\n"),
        (1, "assistant", "template", "<|im_start|>assistant\n"),
    ]
    own = render(model, Chat((Message("system", "user"), *TALK[:1])))
    assert words(model, own) == [(0, "system", "user"), (1, "user", "a king <b>")]


def test_reasoning_and_calls_are_told_apart_from_the_answer() -> None:
    model = chatml(
        "{% if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>{% endif %}"
        "{{ m.content or '' }}{% for c in m.tool_calls or [] %}"
        "<call>{{ c.function | tojson }}</call>{% endfor %}"
    )
    call = {
        "type": "function",
        "function": {"name": "look", "arguments": {"at": 'a "wolf"', "n": 3}},
    }
    answer = Message("assistant", "", {"reasoning_content": "hm, so", "tool_calls": [call]})
    talk = (TALK[0], answer, Message("tool", "grey"))
    parts = told(model, render(model, Chat(talk)))
    assert [part for part in parts if part[2] != "template"] == [
        (0, "user", "content", "a king <b>"),
        (1, "assistant", "reasoning", "hm, so"),
        (1, "assistant", "call", "look"),
        (1, "assistant", "call", 'a \\"wolf\\"'),
        (2, "tool", "content", "grey"),
    ]


def test_names_of_tokens_and_words_of_the_template_are_words_where_a_message_says_them() -> None:
    model = chatml("{{ m.content | trim }}")
    said = " <|im_end|>\n<|im_start|>assistant\nuser "
    for literally in (False, True):
        rendered = render(model, Chat((Message("user", said), *TALK[1:]), literal=literally))
        assert [text for _, _, text in words(model, rendered)] == [
            said.strip(), "the user", "so 你好 why",
        ]  # fmt: skip


def test_a_prefill_that_the_template_writes_is_the_answer_s_or_its_reasoning() -> None:
    model = loaded(FAMILIES["qwen 3"])
    for how, kind in (("content", "content"), ("reasoning", "reasoning")):
        parts = told(model, render(model, Chat(TALK[:1], "First", prefill_as=how)))
        assert parts[-1] == (1, "assistant", kind, "First")


def test_what_cannot_be_told_apart_is_not_told() -> None:
    model = chatml("{{ m.content | replace('i', 'y') }}")
    rendered = render(model, Chat((Message("user", "king"),)))
    assert rendered.ids
    assert rendered.parts == ()


@pytest.mark.parametrize("prefill", ["", "More"])
@pytest.mark.parametrize("ended", [False, True])
def test_a_second_turn_of_the_assistants_closes_the_answer_once(prefill: str, ended: bool) -> None:
    model = chatml("{{ m.content }}")
    path = [*render(model, Chat(TALK[:1])).ids, *encode(model, "the user", continuation=True)]
    path += model.eos_ids[:1] * ended
    added = append_turns(model, path, Chat(TALK[:2], prefill), 2)
    assert literal(model, [*path, *added.ids]).endswith(
        f"<|im_start|>assistant\nthe user<|im_end|>\n<|im_start|>assistant\n{prefill}"
    )
    assert [number for number, *_ in told(model, added)] == [1, 2, 2][: 2 + bool(prefill)]
    assert "second assistant turn" in added.warning or not prefill


BLANKS = ("", "\n\n", " ")


@pytest.mark.parametrize("blank", BLANKS)
@pytest.mark.parametrize("content", ["{{ m.content }}", "{{ m.content | trim }}"])
def test_a_message_that_says_nothing_has_a_turn(content: str, blank: str) -> None:
    model = chatml(content)
    said = blank if content == "{{ m.content }}" else ""
    for at in range(len(TALK)):
        talk = [*TALK]
        talk[at] = Message(talk[at].role, blank)
        parts = told(model, render(model, Chat(tuple(talk))))
        texts = ["".join(text for n, *_, text in parts if n == number) for number in range(4)]
        assert texts[at] == f"<|im_start|>{talk[at].role}\n{said}<|im_end|>\n"
        assert texts[3] == "<|im_start|>assistant\n"
    alone = told(model, render(model, Chat((Message("user", blank),))))
    assert {(n, role) for n, role, *_ in alone} == {(0, "user"), (1, "assistant")}


def test_a_message_that_says_nothing_is_stood_in_for_only_where_the_text_comes_back() -> None:
    model = chatml("{% if m.content %}{{ m.content }}{% else %}nothing{% endif %}")
    talk = (Message("user", ""), Message("assistant", "the user"), Message("user", "\n"))
    parts = told(model, render(model, Chat(talk)))
    assert [part for part in parts if part[2] == "content"] == [
        (1, "assistant", "content", "the user"), (2, "user", "content", "\n"),
    ]  # fmt: skip


def test_turns_that_begin_with_one_that_says_nothing_close_the_answer_once() -> None:
    model = chatml("{{ m.content | trim }}")
    path = [*render(model, Chat(TALK[:1])).ids, *encode(model, "the user", continuation=True)]
    talk = (*TALK[:2], Message("user", "\n"), TALK[1], TALK[2])
    for ended in (False, True):
        ids = [*path, *model.eos_ids[:1] * ended]
        added = append_turns(model, ids, Chat(talk), 2)
        whole = literal(model, [*ids, *added.ids])
        assert whole.count("the user<|im_end|>") == 2
        assert "<|im_end|><|im_end|>" not in whole
        assert {n for n, role, *_ in told(model, added) if role == "user"} == {2, 4}
