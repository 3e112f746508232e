"""A model's chat template: which one it is, what it makes of messages, and what it leaves out."""

import re
from typing import Any

from tokexplore.models.api.chat import Chat, no_template
from tokexplore.models.engine.text.sandbox import FenceError, WorkError
from tokexplore.models.engine.text.text_model import TextModel
from tokexplore.models.engine.text.turn_end import STAND_IN, named_templates, rendered
from tokexplore.models.errors import ModelError, UsageError

Turns = list[dict[str, Any]]
"""Messages as templates take them."""
_RESERVED = frozenset(
    {
        "add_generation_prompt",
        "chat_template",
        "continue_final_message",
        "conversation",
        "documents",
        "messages",
        "max_length",
        "padding",
        "return_assistant_tokens_mask",
        "return_dict",
        "return_tensors",
        "sanitize_control_tokens",
        "self",
        "tokenize",
        "tokenizer_kwargs",
        "tools",
        "truncation",
    }
)


def source(model: TextModel, chat: Chat) -> str:
    """The Jinja source of the template that a chat is rendered with.

    Raises:
        UsageError: the model has no chat template, none of that name, or several and no default.
    """
    templates = named_templates(model.tokenizer)
    if not templates:
        raise UsageError(no_template(model.name))
    name = chat.template or ("tool_use" if chat.tools and "tool_use" in templates else "default")
    if name in templates:
        return templates[name]
    names = ", ".join(sorted(templates))
    if chat.template:
        raise UsageError(
            f"{model.name} has no chat template named {chat.template!r}: choose one of {names}."
        )
    raise UsageError(
        f"{model.name} has several chat templates and none is the default: choose one with "
        f"--template ({names})."
    )


def apply(model: TextModel, chat: Chat, turns: Turns, **how: object) -> str:
    """The text that the template makes of `turns`.

    Raises:
        UsageError: see `source`; also for a template argument that is ours, and for messages that
            the template refuses.
        ModelError: the template takes more time or memory than it may.
    """
    template = source(model, chat)
    if taken := sorted(_RESERVED & chat.template_args.keys()):
        instead = {"chat_template": "name it with --template", "tools": "give it in --messages"}
        raise UsageError(
            f"template argument {taken[0]} is set by tokexplore: "
            f"{instead.get(taken[0], 'leave it out')}."
        )
    arguments: dict[str, Any] = chat.template_args | how
    tools = list(chat.tools) or None
    try:
        return rendered(model.tokenizer, template, turns, tools=tools, **arguments)
    except FenceError as error:
        raise ModelError(
            f"the chat template of {model.name} {error}: give plain text with --prompt instead of "
            "a chat."
        ) from None
    except WorkError as error:
        reason = str(error)
        if reason.startswith("continue_final_message"):
            raise UsageError(
                f"the chat template of {model.name} has no place for a prefill like this: choose "
                "--prefill-as turn."
            ) from None
        raise UsageError(
            f"the chat template of {model.name} refuses these messages: {reason}"
        ) from None


def fitted(model: TextModel, chat: Chat, turns: Turns, **how: object) -> tuple[Turns, list[int]]:
    """The turns in the form that the template reads, and the indices of those whose text it leaves
    out in either form.

    A content is one text or a list of parts; some templates read only the one, some only the other,
    and say nothing.

    Raises:
        UsageError: the template refuses both forms.
    """
    refusals: list[UsageError] = []
    partly: list[tuple[Turns, list[int]]] = []
    for form in (turns, [_as_text(t) for t in turns], [_as_parts(t) for t in turns]):
        try:
            lost = _lost(model, chat, form, how)
        except UsageError as refusal:
            refusals.append(refusal)
            continue
        if not lost:
            return form, lost
        partly.append((form, lost))
    if not partly:
        raise refusals[0]
    form, lost = partly[0]
    mixed = [_other_form(turn) if i in lost else turn for i, turn in enumerate(form)]
    try:
        still = _lost(model, chat, mixed, how)
    except UsageError:
        return form, lost
    return (form, lost) if still else (mixed, still)


def _lost(model: TextModel, chat: Chat, turns: Turns, how: dict[str, object]) -> list[int]:
    """The indices of the turns whose text does not come out.

    Stand-ins are looked for instead of the texts, which may stand in the template as well. Where
    the template refuses those, the texts are.
    """
    marks = {i: f"{STAND_IN}{i}Here" for i, turn in enumerate(turns) if any(_texts(turn))}
    stood = [_with_text(turn, marks[i]) if i in marks else turn for i, turn in enumerate(turns)]
    try:
        text = apply(model, chat, stood, **how)
    except UsageError:
        text = apply(model, chat, turns, **how)
        return [i for i in marks if not all(t.strip() in text for t in _texts(turns[i]))]
    return [
        i
        for i, mark in marks.items()
        if text.count(mark) < sum(map(bool, _texts(turns[i])))
        or (isinstance(turns[i]["content"], list) and _is_printed(text, mark))
    ]


def _is_printed(text: str, mark: str) -> bool:
    """Whether a list of parts was written out as it is, braces and all."""
    return bool(re.search(rf"""['"]text['"]: ?['"]{mark}""", text))


def _texts(turn: dict[str, Any]) -> list[str]:
    """The texts of a turn's content; blank ones are empty."""
    content = turn.get("content")
    texts = [p.get("text", "") for p in content] if isinstance(content, list) else [content or ""]
    return [text if text.strip() else "" for text in texts]


def _with_text(turn: dict[str, Any], mark: str) -> dict[str, Any]:
    content = turn["content"]
    if isinstance(content, list):
        content = [p | {"text": mark} if p.get("text", "").strip() else p for p in content]
        return turn | {"content": content}
    return turn | {"content": mark}


def _as_text(turn: dict[str, Any]) -> dict[str, Any]:
    """A list of texts as one text."""
    content = turn.get("content")
    if not isinstance(content, list):
        return turn
    return turn | {"content": "".join(part.get("text", "") for part in content)}


def _as_parts(turn: dict[str, Any]) -> dict[str, Any]:
    """A text as a list of one part."""
    content = turn.get("content")
    if not isinstance(content, str):
        return turn
    return turn | {"content": [{"type": "text", "text": content}]}


def _other_form(turn: dict[str, Any]) -> dict[str, Any]:
    return _as_text(turn) if isinstance(turn.get("content"), list) else _as_parts(turn)


def left_out(model: TextModel, chat: Chat, turns: Turns, text: str, **how: object) -> list[str]:
    """What `text`, made of `turns`, lacks or changes of them; a sentence each."""
    sentences = []
    for number, turn in enumerate(turns, 1):
        if any(t.strip() not in text for t in _texts(turn)):
            sentences.append(f"the template changes the text of message {number} ({turn['role']})")
        unused = [
            name
            for name, value in turn.items()
            if name not in ("role", "content")
            and value not in (None, "", [], {})
            and _is_unused(model, chat, turns, number - 1, name, text, how)
        ]
        if unused:
            names = " and ".join(unused)
            sentences.append(
                f"the template leaves out {names} of message {number} ({turn['role']})"
            )
    template = source(model, chat)
    absent = [n for n in chat.template_args if not re.search(rf"\b{re.escape(n)}\b", template)]
    if chat.tools and not re.search(r"\btools\b", template):
        absent.append("the tools")
    if absent:
        sentences.append(f"the template does not use {', '.join(absent)}")
    return sentences


def _is_unused(
    model: TextModel,
    chat: Chat,
    turns: Turns,
    index: int,
    name: str,
    text: str,
    how: dict[str, object],
) -> bool:
    """Whether the text is the same without a field of a turn."""
    less = {key: value for key, value in turns[index].items() if key != name}
    try:
        return apply(model, chat, [*turns[:index], less, *turns[index + 1 :]], **how) == text
    except UsageError:
        return False
