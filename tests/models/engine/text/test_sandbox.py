"""A chat template that wants the whole machine ends, and nothing of this process with it."""

import os
import signal
import time
from typing import Any

import msgspec
import psutil
import pytest
from support import made_tokenizers as made
from support.made_models import loaded_with

from tokexplore.models.api.chat import Chat, Message
from tokexplore.models.engine.text import sandbox as module
from tokexplore.models.engine.text import turn_end
from tokexplore.models.engine.text.chat import append_turns, render
from tokexplore.models.engine.text.sandbox import Fence, FenceError, WorkError, fenced
from tokexplore.models.errors import ModelError, UsageError

CHAT = Chat((Message("user", "hi"),))
TURNS = (
    "{% for m in messages %}<s>{{ m.role }}\n{{ m.content }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant\n{% endif %}"
)
LARGE = r"the chat template of made takes more than 1,024 MB: give plain text with --prompt"


def model(template: str | dict[str, str]) -> Any:
    return loaded_with(made.wrapped(made.byte_level(), chat_template=template))


def test_what_was_made_arrives() -> None:
    assert fenced(lambda: "é\n\0\ud800") == "é\n\0\ud800"
    assert fenced(str) == ""


def test_what_fails_tells_why_and_what_leaves_is_no_end() -> None:
    def fail() -> str:
        raise ValueError("a\nb")

    with pytest.raises(WorkError, match=r"^a b$"):
        fenced(fail)
    with pytest.raises(FenceError, match="ends its process"):
        fenced(lambda: os._exit(0))  # type: ignore[arg-type, return-value]
    with pytest.raises(FenceError, match="ends its process"):
        fenced(lambda: exit(3))
    with pytest.raises(FenceError, match="takes more than 5 seconds"):
        fenced(lambda: os.kill(os.getpid(), signal.SIGXCPU))  # type: ignore[arg-type, return-value]


def test_it_may_take_so_much_processor_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS", 1)

    def spin() -> str:
        while True:
            pass

    with pytest.raises(FenceError, match="takes more than 1 seconds"):
        fenced(spin)


def test_each_piece_of_work_has_the_time_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS", 1)

    def work(share: float) -> str:
        end = time.process_time() + share
        while time.process_time() < end:
            pass
        return f"{os.getpid()}"

    with Fence(work) as fence:
        assert len({fence.make(0.6) for _ in range(4)}) == 1
        with pytest.raises(FenceError, match="takes more than 1 seconds"):
            fence.make(60)


def test_after_a_fork_that_met_its_fence_the_next_one_works() -> None:
    with Fence[str](lambda what: os._exit(0) if what == "end" else str(os.getpid())) as fence:
        first = fence.make("a")
        with pytest.raises(FenceError, match="ends its process"):
            fence.make("end")
        assert fence.make("b") not in (first, str(os.getpid()))


def test_nothing_of_it_is_left() -> None:
    with Fence[str](lambda what: str(os.getpid()) + what) as fence:
        child = int(fence.make(""))
        files = psutil.Process().num_fds()
    assert not psutil.pid_exists(child)
    assert psutil.Process().num_fds() == files - 2


def test_a_conversation_is_rendered_in_one_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    forks: list[int] = []
    fork = os.fork
    monkeypatch.setattr(os, "fork", lambda: (forks.append(0), fork())[1])
    loaded = model(TURNS)
    told = Chat((*CHAT.messages, Message("assistant", "yes", {"a": 1, "b": 2}), *CHAT.messages))
    render(loaded, msgspec.structs.replace(told, prefill="He"))
    assert len(forks) == 1
    append_turns(loaded, [1, 2, 3], told, 2)
    assert len(forks) == 2


@pytest.mark.parametrize(
    "template",
    [
        "{{ 'x' * 10**10 }}",
        "{{ 'x'.ljust(10**11) }}",
        "{{ '{:>100000000000}'.format(1) }}",
        "{{ ([0] * 10**10) | length }}",
    ],
)
def test_a_template_that_asks_for_gigabytes_is_refused(template: str) -> None:
    loaded = model(template)
    assert turn_end.turn_ids(loaded.tokenizer, (), 10) == ()
    with pytest.raises(ModelError, match=LARGE):
        render(loaded, CHAT)


def test_of_many_templates_that_want_too_much_one_is_rendered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rendered: list[object] = []
    make = Fence.make
    monkeypatch.setattr(
        Fence, "make", lambda fence, given: (rendered.append(given), make(fence, given))[1]
    )
    large = {f"large {i}": "{{ 'x' * 10**10 }}" for i in range(9)}
    assert turn_end.turn_ids(model(large).tokenizer, (), 10) == ()
    assert len(rendered) == 1


def test_a_template_that_writes_too_much_is_refused() -> None:
    with pytest.raises(ModelError, match="writes more than 16,777,216 characters"):
        render(model("{% for i in range(20000) %}{{ 'x' * 1000 }}{% endfor %}"), CHAT)


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ raise_exception('not\nso') }}", "refuses these messages: not so"),
        ("{% for", "refuses these messages: "),
        ("{{ ''.__class__.__mro__ }}", "is unsafe"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "maximum recursion depth"),
        ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "maximum recursion depth"),
    ],
)
def test_what_a_template_refuses_is_told(template: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        render(model(template), CHAT)
