"""Chat templates: prompts, prefills, next turns, and what templates do to them."""

from typing import Any

import pytest
from support import made_tokenizers as made
from support.conversations import next_turn
from support.made_models import loaded_with

from tokexplore.models.api.chat import Chat, Message
from tokexplore.models.engine.text.chat import render
from tokexplore.models.engine.text.encode import encode
from tokexplore.models.errors import UsageError

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}"
    "{% endif %}"
)
LLAMA_3 = (
    "{{ bos_token }}{% for m in messages %}<|start|>{{ m.role }}<|stop|>\n\n"
    "{{ m.content | trim }}<|eot|>{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant<|stop|>\n\n{% endif %}"
)
INST = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate: user, assistant, user ...') }}{% endif %}"
    "{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]"
    "{% else %} {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"
)


def chat_model(template: str, *, special: tuple[str, ...] = (), eos: str = "</s>") -> Any:
    tokenizer = made.byte_level(extra=[*special, eos])
    return loaded_with(made.wrapped(tokenizer, eos=eos, chat_template=template))


@pytest.fixture(scope="module")
def chatml() -> Any:
    return chat_model(CHATML, special=("<|im_start|>",), eos="<|im_end|>")


@pytest.fixture(scope="module")
def llama_3() -> Any:
    return chat_model(LLAMA_3, special=("<|start|>", "<|stop|>"), eos="<|eot|>")


@pytest.fixture(scope="module")
def inst() -> Any:
    """Llama-2's format on a tokenizer that puts a space in front of every text."""
    return loaded_with(made.wrapped(made.llama_two(), chat_template=INST))


def user(text: str = "hi", **more: Any) -> Chat:
    return Chat((Message("user", text),), **more)


def literal(loaded: Any, ids: Any) -> str:
    return b"".join(map(loaded.vocabulary.bytes_of, ids)).decode()


def test_the_template_opens_the_assistants_turn(chatml: Any, llama_3: Any) -> None:
    chat = Chat((Message("system", "be brief"), Message("user", "hi")))
    rendered = render(chatml, chat)
    assert literal(chatml, rendered.ids) == (
        "<|im_start|>system\nbe brief<|im_end|>\n<|im_start|>user\nhi<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    assert not rendered.warning
    start = chatml.tokenizer.convert_tokens_to_ids("<|im_start|>")
    assert rendered.ids.count(start) == 3
    assert literal(llama_3, render(llama_3, user()).ids).endswith("<|start|>assistant<|stop|>\n\n")


def test_bos_is_there_once_or_as_the_template_has_it(llama_3: Any, chatml: Any) -> None:
    ids = render(llama_3, user()).ids
    assert ids[0] == llama_3.bos_id
    assert ids.count(llama_3.bos_id) == 1
    assert chatml.bos_id not in render(chatml, user()).ids


def test_a_prefill_stays_open(chatml: Any, llama_3: Any) -> None:
    for loaded in (chatml, llama_3):
        rendered = render(loaded, user(prefill="Sure, the king"))
        assert literal(loaded, rendered.ids).endswith("\nSure, the king")
        assert not rendered.warning


def test_a_prefill_that_the_template_trims_is_warned_about(llama_3: Any) -> None:
    assert literal(llama_3, render(llama_3, user(prefill="Sure, ")).ids).endswith("\n\nSure, ")
    rendered = render(llama_3, user(prefill="Sure, ", prefill_as="content"))
    assert literal(llama_3, rendered.ids).endswith("\n\nSure,")
    assert "the template changes the prefill" in rendered.warning


def test_a_prefill_that_the_template_leaves_out_is_refused() -> None:
    loaded = chat_model(
        "{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}{% endif %}{% endfor %}"
    )
    with pytest.raises(UsageError, match="no place for a prefill like this"):
        render(loaded, user(prefill="Sure", prefill_as="content"))
    rendered = render(loaded, user(prefill="Sure"))
    assert literal(loaded, rendered.ids) == "hiSure"
    assert rendered.warning == "the prefill stands as it is right after the message"


def test_a_closed_assistant_turn_is_warned_about(chatml: Any) -> None:
    turns = (Message("user", "hi"), Message("assistant", "Sure"))
    rendered = render(chatml, Chat(turns))
    assert literal(chatml, rendered.ids).endswith("Sure<|im_end|>\n<|im_start|>assistant\n")
    assert "closes its turn and opens another" in rendered.warning
    assert "second assistant turn" in render(chatml, Chat(turns, prefill="and")).warning


def test_template_arguments_reach_the_template(chatml: Any) -> None:
    rendered = render(chatml, user(template_args={"enable_thinking": False}))
    assert literal(chatml, rendered.ids).endswith("assistant\n<think>\n\n</think>\n\n")
    assert not rendered.warning
    unknown = render(chatml, user(template_args={"enable_thinkin": False}))
    assert unknown.warning == "the template does not use enable_thinkin"


@pytest.mark.parametrize("name", ["tokenize", "messages", "add_generation_prompt"])
def test_template_arguments_that_are_ours_are_refused(chatml: Any, name: str) -> None:
    with pytest.raises(UsageError, match=f"template argument {name}"):
        render(chatml, user(template_args={name: True}))


def test_a_template_that_raises_is_quoted(inst: Any) -> None:
    chat = Chat((Message("system", "be brief"), Message("user", "hi")))
    with pytest.raises(UsageError, match="roles must alternate: user, assistant, user"):
        render(inst, chat)


def test_no_template_no_messages(chatml: Any) -> None:
    plain = loaded_with(made.wrapped(made.byte_level()))
    with pytest.raises(UsageError, match="has no chat template: give plain text with --prompt"):
        render(plain, user())
    with pytest.raises(UsageError, match="at least one message"):
        render(chatml, Chat(()))


def said(loaded: Any, chat: Chat, answer: str) -> list[int]:
    return [*render(loaded, chat).ids, *encode(loaded, answer, continuation=True)]


@pytest.mark.parametrize("name", ["chatml", "llama_3"])
@pytest.mark.parametrize("ended", [False, True])
def test_the_next_turn_makes_the_path_the_whole_conversation(
    name: str, ended: bool, request: pytest.FixtureRequest
) -> None:
    loaded = request.getfixturevalue(name)
    chat = user("who are you")
    path = said(loaded, chat, "the wolf") + list(loaded.eos_ids if ended else ())
    added = next_turn(loaded, path, chat, "why so big")
    turns = (*chat.messages, Message("assistant", "the wolf"), Message("user", "why so big"))
    whole = render(loaded, Chat(turns)).ids
    assert literal(loaded, [*path, *added.ids]) == literal(loaded, whole)
    assert path.count(loaded.eos_ids[0]) + added.ids.count(loaded.eos_ids[0]) == 3
    assert not added.warning


def test_a_path_beyond_its_end_of_turn_gets_only_what_is_missing(chatml: Any) -> None:
    chat = user()
    path = said(chatml, chat, "yes<|im_end|>\n")
    added = next_turn(chatml, path, chat, "no")
    assert literal(chatml, added.ids).startswith("<|im_start|>user\nno<|im_end|>")


@pytest.mark.parametrize("name", ["chatml", "inst"])
def test_an_answer_in_the_conversation_stands_for_the_path(
    name: str, request: pytest.FixtureRequest
) -> None:
    """The second template refuses two answers in a row."""
    loaded = request.getfixturevalue(name)
    chat = user()
    path = said(loaded, chat, "yes")
    known = Chat((*chat.messages, Message("assistant", "yes")))
    assert next_turn(loaded, path, known, "no") == next_turn(loaded, path, chat, "no")


def test_the_third_turn(chatml: Any) -> None:
    chat = user()
    path = said(chatml, chat, "one<|im_end|>")
    path += next_turn(chatml, path, chat, "and").ids
    path += encode(chatml, "two<|im_end|>", continuation=True)
    turns = [("user", "hi"), ("assistant", "one"), ("user", "and"), ("assistant", "two")]
    so_far = Chat(tuple(Message(*turn) for turn in turns))
    path += next_turn(chatml, path, so_far, "then").ids
    whole = render(chatml, Chat((*so_far.messages, Message("user", "then")))).ids
    assert literal(chatml, path) == literal(chatml, whole)


@pytest.mark.parametrize("ended", [False, True])
def test_a_template_that_writes_a_space_before_its_end(inst: Any, ended: bool) -> None:
    chat = user("who")
    path = said(inst, chat, " the wolf") + list(inst.eos_ids if ended else ())
    added = next_turn(inst, path, chat, "the end")
    turns = (*chat.messages, Message("assistant", "the wolf"), Message("user", "the end"))
    whole = literal(inst, render(inst, Chat(turns)).ids)
    assert whole.endswith(" the wolf</s> [INST] the end [/INST]")
    assert literal(inst, [*path, *added.ids]) == whole


def test_an_end_that_the_model_wrote_sooner_than_the_template_is_not_doubled() -> None:
    """Llama-2's template writes a space before its end; the model does not always."""
    spaced = INST.replace("{{ m.content }}{{ eos_token }}", "{{ m.content }} {{ eos_token }}")
    loaded = chat_model(spaced)
    chat = user()
    open_path = said(loaded, chat, " yes")
    assert literal(loaded, next_turn(loaded, open_path, chat, "no").ids) == " </s>[INST] no [/INST]"
    ended = [*open_path, *loaded.eos_ids]
    assert literal(loaded, next_turn(loaded, ended, chat, "no").ids) == "[INST] no [/INST]"


def test_an_end_in_the_users_text_is_not_the_assistants() -> None:
    endless = chat_model(INST.replace("{{ eos_token }}", ""))
    chat = user()
    path = said(endless, chat, " yes</s>")
    added = next_turn(endless, path, chat, "what is </s> for")
    assert literal(endless, added.ids) == "[INST] what is </s> for [/INST]"
    assert "which the chat template never writes there" in added.warning


def test_the_users_own_text_is_never_taken_for_the_end(chatml: Any) -> None:
    chat = user()
    path = said(chatml, chat, "yes<|im_end|>")
    added = next_turn(chatml, path, chat, "what is <|im_end|> for")
    assert "user\nwhat is <|im_end|> for<|im_end|>" in literal(chatml, added.ids)


def test_an_end_that_the_template_never_writes_is_said(chatml: Any) -> None:
    foreign = chatml.bos_id
    chatml.eos_ids = (*chatml.eos_ids, foreign)
    chat = user()
    added = next_turn(chatml, [*said(chatml, chat, "yes"), foreign], chat, "no")
    chatml.eos_ids = chatml.eos_ids[:-1]
    assert "the path ends with <s>" in added.warning
    assert literal(chatml, added.ids).startswith("<|im_end|>\n<|im_start|>user")


def test_next_turns_that_cannot_be(chatml: Any) -> None:
    with pytest.raises(UsageError, match="the next turn is empty"):
        next_turn(chatml, [1], user(), "  \n")
    forgetful = chat_model(
        "{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}{% endif %}{% endfor %}"
    )
    with pytest.raises(UsageError, match="leaves earlier answers out"):
        next_turn(forgetful, [1], user(), "more")
    plain = loaded_with(made.wrapped(made.byte_level()))
    with pytest.raises(UsageError, match="no chat template"):
        next_turn(plain, [1], user(), "more")


def test_a_plain_prompt_can_be_followed_by_a_turn(chatml: Any) -> None:
    path = encode(chatml, "the wolf", continuation=False)
    added = next_turn(chatml, path, Chat(()), "why")
    assert literal(chatml, added.ids) == (
        "<|im_end|>\n<|im_start|>user\nwhy<|im_end|>\n<|im_start|>assistant\n"
    )
