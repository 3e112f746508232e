"""What templates make of contents: texts and parts, fields beside them, tools, named templates."""

from typing import Any

import pytest
from support import made_tokenizers as made
from support.conversations import next_turn
from support.made_models import loaded_with

from tokexplore.models.api.chat import Chat, Message
from tokexplore.models.engine.text.chat import render
from tokexplore.models.errors import UsageError

TURN = "{% for m in messages %}<|im_start|>{{ m.role }}\n"
END = "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
STRINGS = TURN + "{{ m.content }}" + END
ADDED = TURN + "{{ m.content + '' }}" + END
PARTS = (
    TURN + "{% for c in m.content %}{% if c.type == 'text' %}{{ c.text }}{% endif %}{% endfor %}"
)
PARTS += END
BOTH = TURN + "{% if m.content is string %}{{ m.content }}{% else %}{% for c in m.content %}"
BOTH += "({{ c.text | trim }}){% endfor %}{% endif %}" + END
MIXED = "{% if messages[0].role == 'system' %}{{ messages[0].content }}\n{% endif %}"
MIXED += PARTS.replace(TURN, TURN + "{% if m.role != 'system' %}").replace(END, "{% endif %}" + END)
FIRST_PART = TURN + "{{ m.content if m.content is string else m.content[0].text }}" + END
FORGETFUL = TURN + "{% if m.role != 'tool' %}{{ m.content }}{% endif %}" + END
FIELDS = TURN + "{{ m.content }}{% for t in m.tool_calls or [] %}<{{ t.name }}>{% endfor %}"
FIELDS += "{% if m.reasoning_content and loop.last %}({{ m.reasoning_content }}){% endif %}" + END
TOOLS = "{% if tools %}{{ tools | tojson }}\n{% endif %}" + STRINGS


def chat_model(template: str | dict[str, str]) -> Any:
    tokenizer = made.byte_level(extra=["<|im_start|>", "<|im_end|>"])
    return loaded_with(made.wrapped(tokenizer, eos="<|im_end|>", chat_template=template))


def literal(loaded: Any, ids: Any) -> str:
    return b"".join(map(loaded.vocabulary.bytes_of, ids)).decode()


def in_parts(*texts: str, role: str = "user") -> Message:
    content = [{"type": "text", "text": text} for text in texts]
    return Message(role, "".join(texts), {"content": content})


OPENED = "<|im_start|>assistant\n"
SAID = f"<|im_start|>user\na king<|im_end|>\n{OPENED}"


@pytest.mark.parametrize("template", [STRINGS, ADDED, PARTS, BOTH, MIXED, FIRST_PART])
def test_a_text_is_given_in_the_form_that_the_template_reads(template: str) -> None:
    loaded = chat_model(template)
    rendered = render(loaded, Chat((Message("user", " a king \n"),)))
    assert literal(loaded, rendered.ids) == SAID.replace("a king", " a king \n")
    assert not rendered.warning


@pytest.mark.parametrize("template", [STRINGS, ADDED, PARTS, MIXED, FIRST_PART])
def test_parts_are_given_in_the_form_that_the_template_reads(template: str) -> None:
    """Never as Python writes a list; nor the first of them alone."""
    loaded = chat_model(template)
    rendered = render(loaded, Chat((in_parts("a ", "king"),)))
    assert literal(loaded, rendered.ids) == SAID
    assert not rendered.warning


def test_parts_stay_parts_where_the_template_reads_them() -> None:
    loaded = chat_model(BOTH)
    rendered = render(loaded, Chat((in_parts("a ", "king"),)))
    assert literal(loaded, rendered.ids) == SAID.replace("a king", "(a)(king)")


def test_each_message_has_its_own_form() -> None:
    loaded = chat_model(MIXED)
    rendered = render(loaded, Chat((Message("system", "be brief"), Message("user", "a king"))))
    assert literal(loaded, rendered.ids) == (f"be brief\n<|im_start|>system\n<|im_end|>\n{SAID}")


@pytest.mark.parametrize("text", ["a queen", "user", "tool"])
@pytest.mark.parametrize("made_of", [Message, lambda role, text: in_parts(text, role=role)])
def test_a_text_that_is_left_out_is_refused_by_its_message(text: str, made_of: Any) -> None:
    """Also one that the template writes by itself."""
    loaded = chat_model(FORGETFUL)
    turns = (Message("user", "a king"), made_of("tool", text))
    with pytest.raises(UsageError, match=r"leaves out the text of message 2 \(tool\)"):
        render(loaded, Chat(turns))
    assert render(loaded, Chat((turns[0], made_of("tool", " \n")))).ids


def test_a_text_that_the_template_changes_is_told() -> None:
    loaded = chat_model(STRINGS.replace("m.content", "m.content.split('</think>')[-1]"))
    turns = (
        Message("user", "hi"),
        Message("assistant", "<think>so</think>yes"),
        Message("user", "?"),
    )
    rendered = render(loaded, Chat(turns))
    assert "so" not in literal(loaded, rendered.ids)
    assert rendered.warning == "the template changes the text of message 2 (assistant)"


def test_the_next_turn_of_a_template_that_reads_parts() -> None:
    loaded = chat_model(PARTS)
    chat = Chat((Message("user", "a king"),))
    path = [*render(loaded, chat).ids, *loaded.tokenizer("yes")["input_ids"][1:]]
    added = next_turn(loaded, path, chat, "why")
    assert literal(loaded, added.ids) == f"<|im_end|>\n{SAID.replace('a king', 'why')}"


def test_a_prefill_of_a_template_that_reads_parts() -> None:
    loaded = chat_model(PARTS)
    for put_as in ("turn", "content"):
        chat = Chat((Message("user", "a king"),), "Sure, ", prefill_as=put_as)  # type: ignore[arg-type]
        rendered = render(loaded, chat)
        assert literal(loaded, rendered.ids) == f"{SAID}Sure, "
        assert not rendered.warning


CALL: dict[str, object] = {"tool_calls": [{"name": "look"}]}


def test_fields_beside_the_content_reach_the_template() -> None:
    loaded = chat_model(FIELDS)
    turns = (
        Message("user", "a king"),
        Message("assistant", "", {"content": None, **CALL}),
        Message("tool", "42", {"reasoning_content": "odd"}),
    )
    rendered = render(loaded, Chat(turns))
    plain = [{"role": m.role, "content": m.content} | m.more for m in turns]
    whole = loaded.tokenizer.apply_chat_template(plain, add_generation_prompt=True, tokenize=False)
    assert literal(loaded, rendered.ids) == whole
    assert "<look>" in whole
    assert "(odd)" in whole
    assert not rendered.warning


def test_fields_that_the_template_leaves_out_are_named() -> None:
    loaded = chat_model(FIELDS)
    turns = (
        Message("user", "a king", {"name": "Ann", "weight": None, "tags": []}),
        Message("assistant", "yes", {"reasoning_content": "so", "refusal": "no", **CALL}),
        Message("user", "why"),
    )
    assert render(loaded, Chat(turns)).warning == (
        "the template leaves out name of message 1 (user); "
        "the template leaves out reasoning_content and refusal of message 2 (assistant)"
    )


def test_a_last_message_goes_on_after_its_reasoning() -> None:
    loaded = chat_model(TURN + "<{{ m.reasoning_content }}>{{ m.content }}" + END)
    more: dict[str, object] = {"reasoning_content": "let me see"}
    chat = Chat((Message("user", "hi"),), "It is", prefill_as="content", prefill_more=more)
    rendered = render(loaded, chat)
    assert literal(loaded, rendered.ids).endswith(f"{OPENED}<let me see>It is")
    assert not rendered.warning


def test_fields_beside_a_prefill_that_stands_as_it_is_are_named() -> None:
    more: dict[str, object] = {"reasoning_content": "let me see"}
    chat = Chat((Message("user", "hi"),), "It is", prefill_more=more)
    warning = render(chat_model(STRINGS), chat).warning
    assert warning == "the prefill stands as it is, without reasoning_content"


def test_tools_reach_the_template_or_are_named() -> None:
    tools: Any = ({"type": "function", "function": {"name": "look", "parameters": {}}},)
    chat = Chat((Message("user", "a king"),), tools=tools)
    loaded = chat_model(TOOLS)
    rendered = render(loaded, chat)
    assert '"name": "look"' in literal(loaded, rendered.ids)
    assert not rendered.warning
    loaded = chat_model(STRINGS)
    rendered = render(loaded, chat)
    assert literal(loaded, rendered.ids) == SAID
    assert rendered.warning == "the template does not use the tools"


NAMED = {"rag": STRINGS.replace("assistant", "librarian"), "tool_use": TOOLS}


def test_a_named_template_is_chosen_by_its_name() -> None:
    loaded = chat_model(NAMED)
    chat = Chat((Message("user", "a king"),), template="rag")
    expected = SAID.replace("assistant", "librarian")
    assert literal(loaded, render(loaded, chat).ids) == expected
    path = list(render(loaded, chat).ids)
    assert literal(loaded, next_turn(loaded, path, chat, "why").ids).endswith("librarian\n")
    whole = chat_model({**NAMED, "default": STRINGS})
    assert literal(whole, render(whole, Chat(chat.messages)).ids) == SAID


def test_a_template_that_is_not_there_is_named_with_those_that_are() -> None:
    loaded, turns = chat_model(NAMED), (Message("user", "a king"),)
    with pytest.raises(UsageError, match=r"none is the default.*--template \(rag, tool_use\)"):
        render(loaded, Chat(turns))
    with pytest.raises(UsageError, match="named 'rags': choose one of rag, tool_use"):
        render(loaded, Chat(turns, template="rags"))
    with pytest.raises(UsageError, match="named 'rag': choose one of default"):
        render(chat_model(STRINGS), Chat(turns, template="rag"))
    with pytest.raises(UsageError, match="chat_template is set by tokexplore: name it with --temp"):
        render(loaded, Chat(turns, template="rag", template_args={"chat_template": "rag"}))


def test_a_turn_that_ends_with_no_token_is_told() -> None:
    loaded = chat_model("{% for m in messages %}{{ m.role }}: {{ m.content }} ###\n{% endfor %}")
    warning = render(loaded, Chat((Message("user", "a king"),))).warning
    assert "ends a turn with '###'" in warning
    assert "--stop '###'" in warning


def test_names_of_tokens_in_a_message_can_be_characters() -> None:
    """The template's own stay tokens: as many as of a message without any."""
    loaded = chat_model(STRINGS)
    start = loaded.tokenizer.convert_tokens_to_ids("<|im_start|>")
    turns = (Message("user", "what is <|im_end|>\n<|im_start|> for?"),)
    read, spelled = (render(loaded, Chat(turns, literal=literal)).ids for literal in (False, True))
    assert literal(loaded, read) == literal(loaded, spelled)
    assert (read.count(start), spelled.count(start)) == (3, 2)
    assert spelled.count(loaded.eos_ids[0]) == 1
    plain = Chat((Message("user", "what is it for?"),))
    assert render(loaded, plain) == render(loaded, Chat(plain.messages, literal=True))
    added = next_turn(loaded, list(spelled), Chat(turns, literal=True), "and <|im_end|>?")
    assert added.ids.count(loaded.eos_ids[0]) == 2


@pytest.mark.parametrize("put_as", ["turn", "content"])
def test_names_of_tokens_in_a_prefill_can_be_characters(put_as: Any) -> None:
    loaded = chat_model(STRINGS)
    chat = Chat((Message("user", "hi"),), "It is <|im_end|>", prefill_as=put_as, literal=True)
    rendered = render(loaded, chat)
    assert literal(loaded, rendered.ids).endswith(f"{OPENED}It is <|im_end|>")
    assert rendered.ids.count(loaded.eos_ids[0]) == 1
    assert not rendered.warning


def test_a_chat_that_is_not_unicode_is_refused() -> None:
    loaded = chat_model(STRINGS)
    for chat in (Chat((Message("user", "a\udfff"),)), Chat((Message("user", "a"),), "\udfff")):
        with pytest.raises(UsageError, match="the lone surrogate U\\+DFFF"):
            render(loaded, chat)
    with pytest.raises(UsageError, match="the lone surrogate"):
        next_turn(loaded, [1], Chat((Message("user", "a"),)), "a\udfff")
