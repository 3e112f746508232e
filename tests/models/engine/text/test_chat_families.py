"""How the published families open an assistant's turn, what a prefill gives for each, and where
their turns end."""

import pytest
from support.chat_families import FAMILIES, Family, literal, loaded

from tokexplore.models.api.chat import Chat, Message
from tokexplore.models.engine.text.chat import render
from tokexplore.models.engine.text.turn_end import turn_ids
from tokexplore.models.errors import UsageError

CHAT = Chat((Message("user", "2+2?"),))


@pytest.fixture(params=FAMILIES, scope="module")
def family(request: pytest.FixtureRequest) -> Family:
    return FAMILIES[request.param]


@pytest.mark.parametrize("prefill", ["Sure, ", "<think>\nFirst", "\n"])
def test_a_prefill_stands_as_it_is_after_the_turn_that_the_template_opens(
    family: Family, prefill: str
) -> None:
    """transformers' own rendering of the opened turn is the oracle."""
    model = loaded(family)
    opened = model.tokenizer.apply_chat_template(
        [{"role": "user", "content": "2+2?"}], add_generation_prompt=True, tokenize=False
    )
    assert opened.endswith(family.opening)
    rendered = render(model, Chat(CHAT.messages, prefill))
    whole = model.tokenizer(opened + prefill, add_special_tokens=False)["input_ids"]
    assert list(rendered.ids) == whole


def test_both_openings_are_shown_where_the_template_has_another_for_an_answer(
    family: Family,
) -> None:
    warning = render(loaded(family), Chat(CHAT.messages, "Sure")).warning
    if family.answer is None:
        assert not warning
    else:
        assert f"it would write {family.answer!r}" in warning
        assert repr(family.opening) in warning or not family.opening


def test_a_prefill_can_be_put_as_the_template_writes_an_answer(family: Family) -> None:
    model = loaded(family)
    rendered = render(model, Chat(CHAT.messages, "Sure", prefill_as="content"))
    before = family.opening if family.answer is None else family.answer
    assert literal(model, rendered.ids).endswith(f"{before}Sure")
    assert not rendered.warning


def test_a_prefill_can_be_the_reasoning(family: Family) -> None:
    model = loaded(family)
    chat = Chat(CHAT.messages, "First, two", prefill_as="reasoning")
    if family.reasoning is None:
        with pytest.raises(UsageError, match="no place for a prefill like this"):
            render(model, chat)
        return
    rendered = render(model, chat)
    assert literal(model, rendered.ids).endswith(f"{family.reasoning}First, two")
    assert not rendered.warning


def test_an_opening_that_the_prefill_repeats_is_told() -> None:
    model = loaded(FAMILIES["qwen 3.5"])
    rendered = render(model, Chat(CHAT.messages, "<think>\nFirst"))
    assert literal(model, rendered.ids).endswith("assistant\n<think>\n<think>\nFirst")
    assert "ends with '<think>\\n', and the prefill begins with it again" in rendered.warning
    assert "again" not in render(model, Chat(CHAT.messages, "First")).warning


def test_a_template_that_never_opens_a_turn_opens_it_for_a_prefill() -> None:
    chatml = FAMILIES["qwen 3"]._replace(
        template="{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"
        "{% endfor %}"
    )
    model = loaded(chatml)
    rendered = render(model, Chat(CHAT.messages, "Sure, "))
    assert literal(model, rendered.ids).endswith("<|im_end|>\n<|im_start|>assistant\nSure, ")
    assert not rendered.warning


def test_the_token_that_ends_a_turn_is_the_template_s_own(family: Family) -> None:
    """Where the EOS list lacks it. The end of a GLM turn is the next speaker's mark."""
    ends = {"phi": "<|end|>", "glm 4.5": "<|user|>"}
    name = next(n for n, known in FAMILIES.items() if known is family)
    end = ends.get(name, family.eos)
    fixed = family._replace(template=family.template.replace("{{ eos_token }}", family.eos))
    model = loaded(fixed, eos="<|other|>")
    expected = model.tokenizer.convert_tokens_to_ids(end)
    assert turn_ids(model.tokenizer, model.eos_ids, model.rows) == (expected,)
    assert turn_ids(model.tokenizer, (expected,), model.rows) == ()
    assert turn_ids(model.tokenizer, (), rows=expected) == ()


def test_an_end_of_text_after_the_end_of_the_turn_is_not_waited_for() -> None:
    model = loaded(FAMILIES["phi"])
    assert model.vocabulary.show(model.eos_ids[0]) == "<|endoftext|>"
    (end,) = turn_ids(model.tokenizer, model.eos_ids, model.rows)
    assert model.vocabulary.show(end) == "<|end|>"


def test_the_end_of_an_analysis_is_no_end_of_the_turn() -> None:
    """gpt-oss ends each channel with <|end|> and the turn with <|return|>."""
    model = loaded(FAMILIES["gpt-oss"])
    assert turn_ids(model.tokenizer, model.eos_ids, model.rows) == ()
