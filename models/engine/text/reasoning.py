"""How a chat template tells reasoning apart from the answer, and what else it asks to be told."""

import re
from contextlib import suppress
from functools import partial

from jinja2 import meta
from jinja2.sandbox import ImmutableSandboxedEnvironment
from transformers import PreTrainedTokenizerBase

from tokexplore.models.api.chat import REASONING_FIELDS
from tokexplore.models.engine.text.sandbox import FenceError, WorkError, fenced
from tokexplore.models.engine.text.turn_end import STAND_IN, in_one_fence, named_templates, rendered

KNOWN_MARKS = (
    ("<think>", "</think>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|channel>thought", "<channel|>"),
)
"""Of templates that open a turn with the first of the two, or take the second for granted."""
_USER = {"role": "user", "content": "Hello"}
_THOUGHT, _ANSWER = f"{STAND_IN}Thought", f"{STAND_IN}Said"
_LAST_MARK = re.compile(r"(<[^<>\s]+>|\[[^\[\]\s]+\])\s*\Z")
_GIVEN = frozenset(
    {
        "add_generation_prompt", "bos_token", "continue_final_message", "documents", "eos_token",
        "messages", "pad_token", "raise_exception", "strftime_now", "tools", "unk_token",
    }
)  # fmt: skip
"""Variables of templates that transformers and we set."""


def reasoning_marks(tokenizer: PreTrainedTokenizerBase) -> tuple[str, str]:
    """What the default template writes before and after an answer's reasoning; empty where it has
    no place for any."""
    template = named_templates(tokenizer).get("default", "")
    if not re.search("reason|think|thought", template, re.IGNORECASE):
        return "", ""
    with suppress(FenceError, WorkError), in_one_fence(tokenizer):
        opened = rendered(tokenizer, template, [_USER], add_generation_prompt=True)
        for field in REASONING_FIELDS:
            answer = {"role": "assistant", "content": _ANSWER, field: _THOUGHT}
            text = rendered(tokenizer, template, [_USER, answer])
            before, thought, after = text.partition(_THOUGHT)
            closing, answered, _ = after.partition(_ANSWER)
            if thought and answered and closing.strip():
                return _opening(before, opened), closing.strip()
    known = (marks for marks in KNOWN_MARKS if all(mark in template for mark in marks))
    return next(known, ("", ""))


def _opening(before: str, opened: str) -> str:
    """What stands before the reasoning of an answer, without what opens the turn."""
    pairs = zip(before, opened, strict=False)
    same = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(before), len(opened)))
    mark = _LAST_MARK.search(before)
    return before[same:].strip() or (mark[1] if mark else "")


def template_options(tokenizer: PreTrainedTokenizerBase) -> tuple[str, ...]:
    """The variables that the templates read and that nobody sets unless asked to, such as
    enable_thinking; in the order of the alphabet."""
    names: set[str] = set()
    with suppress(FenceError):
        for template in named_templates(tokenizer).values():
            with suppress(WorkError):
                names |= set(fenced(partial(_undeclared, template)).split())
    return tuple(sorted(names - _GIVEN))


def _undeclared(template: str) -> str:
    """Names of variables that a template reads and does not set, a space between."""
    environment = ImmutableSandboxedEnvironment(extensions=["jinja2.ext.loopcontrols"])
    # The marks of assistant turns, which transformers alone reads.
    plain = re.sub(r"\{%-?\s*(end)?generation\s*-?%\}", "", template)
    return " ".join(meta.find_undeclared_variables(environment.parse(plain)))
