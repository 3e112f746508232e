"""What a template writes around an answer's reasoning, and what it asks to be told."""

from typing import Any

import pytest
from support import made_tokenizers as made
from support.chat_families import FAMILIES, loaded

from tokexplore.models.engine.text.reasoning import reasoning_marks, template_options

MARKS = {
    "qwen 3": ("<think>", "</think>"),
    "qwen 3.5": ("<think>", "</think>"),
    "deepseek r1": ("<think>", "</think>"),
    "gpt-oss": (
        "<|channel|>analysis<|message|>",
        "<|end|><|start|>assistant<|channel|>final<|message|>",
    ),
    "glm 4.5": ("<think>", "</think>"),
}


def tokenizer(template: str | dict[str, str]) -> Any:
    return made.wrapped(made.byte_level(), chat_template=template)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_marks_of_the_families(name: str) -> None:
    assert reasoning_marks(loaded(FAMILIES[name]).tokenizer) == MARKS.get(name, ("", ""))


def test_a_template_that_cannot_be_used_has_no_marks() -> None:
    for template in ("{{ raise_exception('think') }}", "{% think %}", "{{ 'think' ~ 1 / 0 }}"):
        assert reasoning_marks(tokenizer(template)) == ("", "")
    assert reasoning_marks(made.wrapped(made.byte_level())) == ("", "")


def test_what_a_template_asks_to_be_told() -> None:
    template = (
        "{% set ns = namespace(a=1) %}{% for m in messages %}{% generation %}{{ m.content }}"
        "{% endgeneration %}{% if loop.last %}{% break %}{% endif %}{% endfor %}"
        "{% if enable_thinking is defined and add_generation_prompt %}{{ reasoning_effort }}"
        "{{ strftime_now('%Y') }}{% endif %}"
    )
    assert template_options(tokenizer(template)) == ("enable_thinking", "reasoning_effort")
    named = {"default": "{{ messages }}{{ date }}", "tool_use": "{{ tools }}{{ style }}"}
    assert template_options(tokenizer(named)) == ("date", "style")
    assert template_options(tokenizer("{% broken")) == ()
    assert template_options(tokenizer("{{ " + "(" * 5000 + "a" + ")" * 5000 + " }}")) == ()
