"""A number that nothing can hold is refused where it is given: options, files, commands, keys."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.app import make_app, press, screen_text, settle, until

from tokexplore.models.errors import UsageError
from tokexplore.models.sampling.logit_edits import changes_of
from tokexplore.models.sampling.randomness import seed_after, seed_key
from tokexplore.models.sampling.settings import LARGEST, MOST_PENALTY, SamplingSettings
from tokexplore.models.untrusted import BITS, number_of
from tokexplore.tui.cli import dispatch
from tokexplore.tui.cli.app import SUBCOMMAND as APP
from tokexplore.tui.explore.knob_editor import DIALS, KnobEditor, Setup
from tokexplore.tui.explore.template_arguments import template_arguments

LONG = "9" * 4000
LONGER = "9" * 5000
LONGEST = "9" * 20_000
DEEP = "[" * 100_000 + "]" * 100_000
TYPED = (
    LONG,
    LONGER,
    "9" * 400,
    "1e400",
    "-1e400",
    "nan",
    "inf",
    "²",
    "٣",
    "--5",
    "1_0",
    "0x9",
    "",
)


def test_a_typed_number_is_finite_and_within_64_bits() -> None:
    assert [number_of(text) for text in ("7", "-3", "0.5", "1e3")] == [7, -3, 0.5, 1000.0]
    assert number_of(str(2**BITS - 1)) == 2**BITS - 1
    for text in (str(2**BITS), LONG, LONGER, "1e400", "nan", "-inf", "", "x", "²", "0x9"):
        with pytest.raises(ValueError, match=r".*"):
            number_of(text)


OPTIONS = {
    "--bias-id": ("5=1e308", "5=-1e21", "5=nan", f"{LONGER}=1", "5=", f"5={LONG}"),
    "--bias": (" dragon=1e308", f" dragon={LONG}", " dragon=inf"),
    "--repetition-penalty": ("1e-308", "1e7", "0", "-1", "nan", "inf", LONG),
    "--presence-penalty": ("1e308", "-1e21", "nan", LONG),
    "--frequency-penalty": ("1e308", "-1e21", "nan", LONG),
    "--temperature": ("1e308", "nan", "inf", "1e-300", LONG),
    "--dynamic-range": ("1e308", "nan", "-1"),
    "--top-k": (str(2**64), LONG, LONGER, "-1", "1e3", "²"),
    "--no-repeat-ngram": (str(2**64), LONG, LONGER),
    "--seed": (str(2**64), LONG, LONGER),
    "--top-p": ("1e-400", "nan", LONG),
    "--min-p": ("nan", "1e308"),
    "--typical-p": ("nan", "0"),
    "--top-h": ("nan", "2"),
    "--epsilon-cutoff": ("nan", "1"),
    "--eta-cutoff": ("nan", "1"),
    "--max-new-tokens": (str(2**31), LONG, LONGER, "nan"),
    "--stop-id": (LONG, LONGER),
    "--watch-id": (LONG, LONGER),
    "--ban-id": (LONGER, "-1", "1,²"),
    "--close-call": ("nan", "1e400", "-1"),
    "--cast-idle-cap": ("nan", "inf"),
    "--template-arg": (f"a={LONGER}", f"a={2**64}", f"a=[{-(2**65)}]"),
}


@pytest.mark.parametrize(
    ("option", "value"), [(option, v) for option, values in OPTIONS.items() for v in values]
)
def test_an_option_s_number_is_refused_in_a_short_sentence(option: str, value: str) -> None:
    with pytest.raises(UsageError) as caught:
        template_arguments(APP.read([f"{option}={value}"]).prompt.template_args)
    said = str(caught.value)
    assert "\n" not in said
    assert len(said) < 300


def test_what_can_be_is_left_alone() -> None:
    app, _ = APP.read(["--bias-id=5=-1e20", f"--seed={2**64 - 1}", f"--top-k={2**64 - 1}"])
    assert app.settings.bias == (((5,), -1e20),)
    assert template_arguments(["a=[1, 2.5e300]", f"b={2**64 - 1}"])["b"] == 2**64 - 1


def test_seeds_go_round() -> None:
    assert [seed_after(2**64 - 1, n) for n in range(3)] == [2**64 - 1, 0, 1]
    seed_key(seed_after(2**64 - 1, 5))


FILES = {
    "deep": DEEP,
    "deep inside": f'[{{"role": "user", "content": "a", "more": {DEEP}}}]',
    "a long number": f"[{LONGER}]",
    "a number of 65 bits": f'{{"a": {2**64}, "b": 1}}',
    "a huge number": '{"a": 1e308, "b": 1}',
    "no finite number": '{"a": Infinity, "b": NaN}',
    "texts": '{"a": "1", "b": "2"}',
    "lists": "[[1], [2]]",
    "nothing": "",
    "bytes": "\ufeff\0",
    "a word": "true",
}


@pytest.mark.parametrize("content", FILES.values(), ids=FILES.keys())
@pytest.mark.parametrize("command", ["lens --file", "run x --messages"])
def test_a_file_is_refused_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, content: str
) -> None:
    file = tmp_path / "given.json"
    file.write_text(content)
    if "lens" in command and content == FILES["a number of 65 bits"]:
        content = ""
        file.write_text(f'{{"a": {10**300}, "b": 1}}')
    assert dispatch.main([*command.split(), str(file)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("tokexplore: ")
    assert str(file) in line or "no logit for 'a'" in line


@pytest.mark.parametrize(
    "arguments",
    [
        ("--logprobs", "a=1000,b=1"),
        ("--logits", "a=1e21,b=1"),
        ("--logits", f"a={LONG},b=1"),
        ("--logits", f"{LONG},{LONG}x"),
        ("--logits", "a=1,b=2", "--draw", str(2**31 - 1)),
        ("--logits", "a=1,b=2", "--temperature", ",".join(["1"] * 1001)),
        ("--logits", "a=1,b=2", "--temperature", "1,1e308"),
        ("--file", "~nobody-here/words.json"),
    ],
)
def test_the_lens_refuses_what_it_cannot_hold(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    assert dispatch.main(["lens", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert len(line) < 300


@pytest.mark.slow
def test_the_lens_holds_the_largest_logits(capsys: pytest.CaptureFixture[str]) -> None:
    extreme = ["--temperature", "1e-5,1e20", "--top-p", "0.5", "--min-p", "0.1"]
    assert dispatch.main(["lens", "--logits", "a=1e20,b=-1e20,c=0", *extreme]) == 0
    assert "nan" not in capsys.readouterr().out


ADDEND = st.sampled_from([-LARGEST, -1.0, 0.0, 1e-300, 3.0, LARGEST])


@pytest.mark.slow
@settings(max_examples=60, derandomize=True, database=None)
@given(
    ADDEND,
    ADDEND,
    ADDEND,
    st.sampled_from([1 / MOST_PENALTY, 0.5, 1.0, MOST_PENALTY]),
    st.sampled_from([0.0, 1e-5, 1.0, LARGEST]),
    st.sampled_from([0, 1, 2**64 - 1]),
)
def test_whatever_is_allowed_leaves_numbers(
    bias: float, presence: float, frequency: float, factor: float, temperature: float, count: int
) -> None:
    import torch

    from tokexplore.models.engine.forward.logits_row import summarise
    from tokexplore.models.engine.sampler import reshape

    chosen = SamplingSettings(
        temperature, top_k=count, top_p=0.9, min_p=1e-9, no_repeat_ngram=count,
        bias=(((1,), bias),), presence_penalty=presence, frequency_penalty=frequency,
        repetition_penalty=factor,
    ).checked()  # fmt: skip
    row = summarise(torch.tensor([3.0, -2.0, 1e4, -1e4]), "given")
    found = reshape(row, chosen, changes_of(chosen, (0, 1, 1, 2), 1))
    assert np.isfinite(found.view.log_norm)
    assert found.view.kept >= 1


@pytest.mark.parametrize("typed", TYPED)
def test_a_knob_takes_a_number_or_says_that_it_is_none(typed: str) -> None:
    for index in range(len(DIALS)):
        editor = KnobEditor(Setup(SamplingSettings(1.0), 64))
        editor.index, editor.typed = index, typed
        try:
            editor.settle()
            made = editor.setup()
        except UsageError:
            continue
        assert 1 <= made.max_new_tokens < 2**31
        assert made.sampling.checked() == made.sampling


async def test_a_typed_place_or_id_that_is_too_long_is_none() -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.controller.state == "paused")
        here = app.controller.explorer.cursor
        for text in (LONGEST, f"#{LONGEST}", f"-{LONGEST}", "#²"):
            await press(pilot, "g")
            app.screen.query_one("Input").value = text  # type: ignore[attr-defined]
            await press(pilot, "enter")
            assert "No place" in screen_text(app)
            await press(pilot, "ctrl+g")
        assert app.controller.explorer.cursor == here
        for text in ("#²", f"#{LONGEST}"):
            await press(pilot, "w")
            app.screen.query_one("Input").value = text  # type: ignore[attr-defined]
            await press(pilot, "enter")
            await settle(pilot)
            await press(pilot, "ctrl+g")
        assert not app.controller.watchlist.tokens
        await press(pilot, "s")
        app.screen._editor.typed = "9" * 399  # type: ignore[attr-defined]
        await press(pilot, "9", "enter")
        assert "not a number that temperature can have" in screen_text(app) + "".join(
            n.message for n in app._notifications
        )
