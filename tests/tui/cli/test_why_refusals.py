"""`tokexplore why`: what its options mean, and what is refused."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from support.asked_why import KING, asked, lines, written
from support.fake_engine import FakeEngine
from support.fake_interpreter import LAYERS, FakeInterpreter
from support.first_candidates import FirstCandidates

from tokexplore.models.api.engine import Engine
from tokexplore.models.api.interpreter import LogitSplit
from tokexplore.models.api.options import LoadOptions, PromptSpec
from tokexplore.models.errors import UsageError
from tokexplore.tui.cli.dispatch import main
from tokexplore.tui.cli.why import SUBCOMMAND, WhyOptions
from tokexplore.tui.cli.why_runner import write_why
from tokexplore.tui.explore.options import AppOptions


def test_mistakes_are_told_with_what_to_do() -> None:
    with pytest.raises(UsageError, match="fake needs a prompt to be asked about"):
        written(WhyOptions(AppOptions(load=LoadOptions(model="fake")), ("lens",)))
    with pytest.raises(UsageError, match=r"' kingqueen' is 6 tokens .*: give one of them as --tok"):
        written(asked("lens", token=" kingqueen"))
    with pytest.raises(UsageError, match=r"' kings' is 2 tokens \(␣king, s\): .* as --against"):
        written(asked("lens", against=" kings"))
    with pytest.raises(UsageError, match="--token-id 99999 is no token of fake: its ids go up to"):
        written(asked("lens", token=99999))
    with pytest.raises(UsageError, match="␣king is held against itself"):
        written(asked("layers", token=KING, against=" king"))
    impossible = FakeEngine().vocabulary.rows - 1
    with pytest.raises(UsageError, match=f"<id {impossible}> is impossible after the prompt"):
        written(asked("words", token=impossible))
    with pytest.raises(UsageError, match="the prompt is one token, and the last one is never"):
        written(asked("words", prompt=PromptSpec(text="<s>")))
    with pytest.raises(UsageError, match="--finest turn needs a chat"):
        written(asked("words", finest="turn"))
    prompt = PromptSpec(text="Once upon a time .")
    with pytest.raises(UsageError, match=r"prompt is 7 tokens long and the context of fake is 5"):
        written(asked("lens", prompt=prompt), FakeEngine(context=5))


def test_one_token_is_enough_for_the_lens_and_the_layers() -> None:
    assert len(lines(asked("lens", "layers", prompt=PromptSpec(text="<s>")))) > 2 * LAYERS


def test_an_engine_that_shows_nothing_of_its_inside_is_refused() -> None:
    engine = FirstCandidates()
    with pytest.raises(UsageError, match=r"shows nothing of the model's inside: why needs its lay"):
        written(asked("lens"), engine)
    assert engine.asked == []


def test_a_model_that_is_refused_leaves_nothing_written_but_earlier_views() -> None:
    class Refusing(FakeInterpreter):
        def split(self, *args: Any) -> LogitSplit:
            del args
            raise UsageError("the parts of fake are not known to add up.")

    for form in ("text", "jsonl", "csv", "html"):
        engine, out = FakeEngine(), io.BytesIO()
        engine.interpreter = Refusing(engine)

        def looked(*views: str, into: io.BytesIO, engine: Engine, form: str) -> None:
            with pytest.raises(UsageError, match="not known to add up"):
                write_why(
                    asked(*views, format=form), into, open_engine=lambda *_: engine,
                    errors=io.StringIO(),
                )  # fmt: skip

        looked("layers", into=out, engine=engine, form=form)
        assert out.getvalue() == b""
        if form != "csv":
            looked("lens", "layers", into=out, engine=engine, form=form)
            assert out.getvalue() != b""


def read(*arguments: str) -> WhyOptions:
    options: WhyOptions = SUBCOMMAND.read(arguments).options
    return options


def test_options_are_what_they_say() -> None:
    found = read(
        "fake", "--words", "--lens", "--prompt", "a", "--token", " king", "--against-id", "7",
        "--positions", "4", "--finest", "word", "--points", "8", "--gradients",
    )  # fmt: skip
    assert (found.views, found.token, found.against) == (("lens", "words"), " king", 7)
    assert (found.positions, found.finest, found.points, found.gradients) == (4, "word", 8, True)
    found = read("--layers", "--heads", "3,1", "--sort", "size")
    assert (found.heads, found.order, found.app.load.model) == ((3, 1), "size", "embedded")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "why needs to be told what to look at: give --lens (what each layer says), --layers"),
        (("--layers", "--positions", "3"), "--positions is of --lens: give that too."),
        (("--words", "--heads", "3"), "--heads is of --layers: give that too."),
        (("--words", "--tuned-lens", "x"), "--tuned-lens is of --lens: give that too."),
        (("--words", "--sort", "size"), "--sort is of --layers: give that too."),
        (("--lens", "--everything"), "--everything is of --words: give that too."),
        (("--lens", "--points", "3"), "--points is of --words: give that too."),
        (("--lens", "--token", ""), "--token '' is empty: give the text of a token, or"),
        (("--lens", "--token", "a", "--token-id", "3"), "not allowed with argument --token"),
        (("--lens", "--positions", "0"), "0 is not possible: give 1 to"),
        (("--words", "--prompt-file", "/none"), "both --prompt and --prompt-file are given"),
    ],
)
def test_mistakes_of_the_command_line_are_one_sentence(
    arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.setattr("tokexplore.tui.cli.why.locate", lambda *_: None)
    opening: Callable[..., Engine] = lambda *_: FakeEngine()  # noqa: E731
    assert main(["why", "fake", "--prompt", "Once upon", *arguments], open_engine=opening) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
