"""Every word of header, step line and table heads is explained, where it stands."""

import re
from collections.abc import Iterable
from typing import get_args

import pytest
from rich.style import Style
from support.app import make_app, press, screen_text, settle, until
from support.first_candidates import FirstCandidates
from textual.widgets import Input

from tokexplore.models.api.chat import Chat, Message
from tokexplore.models.api.engine import EndReason
from tokexplore.models.api.options import PromptSpec
from tokexplore.models.sampling.settings import OFF, STAGES, SamplingSettings
from tokexplore.tui.app import TokexploreApp
from tokexplore.tui.browse.places import places
from tokexplore.tui.explore.options import AppOptions
from tokexplore.tui.keymap import NONE
from tokexplore.tui.presenters.sources import source_words
from tokexplore.tui.presenters.status import STAGES as LOADING
from tokexplore.tui.presenters.terms import TERMS, Term, terms_in
from tokexplore.tui.screens.terms import TermsSheet
from tokexplore.widgets.branch_rows import BranchStyles
from tokexplore.widgets.branch_rows import columns_for as branch_columns
from tokexplore.widgets.branch_rows import head_strip as branch_head
from tokexplore.widgets.candidate_drawing import CandidateStyles, head_strip
from tokexplore.widgets.candidate_rows import columns_for
from tokexplore.widgets.header import HeaderStyles, HeaderValues, State, header_strip

ALL = [term for terms in TERMS.values() for term in terms]
PLAIN = {
    "GB", "tokexplore", "fake", "of", "after", "embedded", "prompt", "now", "the", "by", "model's",
    "makers", "adopts", "A", "from", "to",
}  # fmt: skip
"""Words that need no explanation."""


def unexplained(lines: Iterable[str]) -> set[str]:
    """Words of the screen's own that no term finds; what is quoted is the model's."""
    left = set[str]()
    for line in lines:
        text = re.sub(r"“.*?”", "", line)
        covered = text
        for term in ALL:
            for found in re.finditer(term.seen, text, re.MULTILINE):
                start, stop = found.span()
                covered = covered[:start] + " " * (stop - start) + covered[stop:]
        left.update(re.findall(r"[^\W\d_][\w'/]*", covered))
    return left - PLAIN


def test_every_state_of_the_header_is_explained() -> None:
    styles = HeaderStyles(*[Style()] * len(HeaderStyles._fields))
    stages = ["", "starting", *LOADING.values(), "weights 0.1/2.0 GB"]
    details = {
        "loading": stages, "prefill": ["", "prefill 64/128", "scoring 64/128"],
        "ended": get_args(EndReason), "replaying": ["0:12 of 1:30"],
    }  # fmt: skip
    for state in get_args(State):
        for detail in details.get(state, [""]):
            values = HeaderValues(
                mode="COMPARE", model="fake", parameters="8.6M", device="cuda:0", dtype="bf16",
                sampler="T .80 p .75 · suggested · single step", seed=3, state=state,
                detail=detail, tokens_per_second=None if detail else 30, context_used=3,
                context_size=9, recording=True,
            )  # fmt: skip
            line = header_strip(values, 200, styles).text
            assert unexplained([line.replace("space loads the model", "")]) == set(), line


def test_every_stage_of_the_sampler_is_explained_in_the_header_and_in_the_lens() -> None:
    for stage in STAGES:
        listed = {"banned": ((3,),), "bias": (((3,), 0.5),)}
        header = " " + stage.header(listed.get(stage.field, 2))
        assert unexplained([header]) == set(), header
        if stage.turns is not None:
            lines = [f"{mark} {stage.option}{foot:<8}   0.5" for mark in "› " for foot in " †"]
            assert not any(unexplained([line]) for line in lines), lines
    assert OFF.keys() == {stage.field for stage in STAGES}


def test_heads_of_tables_are_explained() -> None:
    for bits in (False, True):
        candidates = head_strip(
            columns_for(140, "id"), "live", CandidateStyles(*[Style()] * 15), bits=bits
        )
        styles = BranchStyles(*[Style()] * len(BranchStyles._fields))
        branches = branch_head(branch_columns(60), styles, bits=bits)
        assert unexplained([candidates.text, branches.text]) == set()


def step_line(app: TokexploreApp) -> str:
    lines = screen_text(app).splitlines()
    return next(line for line in lines if line.startswith(("─ step", "─ prompt", "─ candidates")))


@pytest.mark.parametrize("bits", [False, True])
async def test_every_step_line_is_explained(bits: bool) -> None:
    settings = SamplingSettings(temperature=0.8, top_p=0.9, seed=3)
    options = AppOptions(prompt=PromptSpec(text="Once upon"), max_new_tokens=8, settings=settings)
    app = make_app(options=options, dtype="bfloat16", planted={(0,): {9: 7.0, 12: 7.0}})
    async with app.run_test(size=(160, 40)) as pilot:
        await until(pilot, lambda: bool(app.controller.explorer.tree.ended))
        seen = []
        if bits:
            await press(pilot, "V")
        for keys in (
            ["home"],
            ["left", "left"],
            ["end", "right"],
            ["apostrophe"],
            ["home", "right"],
        ):
            await press(pilot, *keys)
            seen.append(step_line(app))
        seen += [f"─ {source_words('re-fed 26')} ─", f"─ {source_words('step of 8 rows')} ─"]
        seen += ["─ margin 0: a tie, lower id first ─"]
        assert any("steps" in line for line in seen)
        assert any("open end" in line for line in seen)
        assert any("◆" in line for line in seen)
        assert unexplained(seen) == set(), seen
        rule = screen_text(app).splitlines()[1]
        assert unexplained([rule]) == set(), rule


async def test_what_an_engine_of_few_candidates_shows_is_explained() -> None:
    settings = SamplingSettings(temperature=0.8, top_p=0.9, seed=3)
    options = AppOptions(prompt=PromptSpec(text="Once upon"), max_new_tokens=8, settings=settings)
    app = make_app(options=options, engine=FirstCandidates())
    async with app.run_test(size=(160, 40)) as pilot:
        await until(pilot, lambda: bool(app.controller.explorer.tree.ended))
        await press(pilot, "home", "right", "right")
        line = step_line(app)
        assert "of the first 20" in line
        assert unexplained([line]) == set(), line


async def test_the_sheet_has_the_terms_of_the_screen_and_a_search_those_of_others() -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: bool(app.controller.explorer.tree.ended))
        await press(pilot, "equals_sign")
        sheet = app.screen
        assert isinstance(sheet, TermsSheet)
        shown = sheet.text().plain
        assert "  margin " in shown
        assert "perplexity" not in shown
        await pilot.press(*"perplex")
        await until(pilot, lambda: "Sampler, elsewhere" in screen_text(app))
        assert "among how many equal choices" in screen_text(app)
        assert "  margin " not in screen_text(app)
        await pilot.press(*"!?P@=q")
        assert sheet.query_one(Input).value == "perplex!?P@=q"
        assert "No line here has all of these words." in screen_text(app)
        assert app.recordings.recorder is None
        sheet.query_one(Input).clear()
        await pilot.press("/", *"@2")
        await until(pilot, lambda: "@2 is a step" in screen_text(app))
        await press(pilot, "enter")
        assert app.screen is app._browse


async def test_a_chat_has_its_terms() -> None:
    chat = Chat((Message("user", "who was he"),))
    app = make_app(options=AppOptions(prompt=PromptSpec(chat=chat), max_new_tokens=6))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: bool(app.controller.explorer.tree.ended))
        await settle(pilot)
        names = {term.name for terms in terms_in(screen_text(app)).values() for term in terms}
        assert {"chat", "surprisal", "mean logprob", "story"} <= names


def test_terms_are_found_once_and_name_keys_that_there_are() -> None:
    assert len({term.name for term in ALL}) == len(ALL)
    bound = {b.id for place in places(TokexploreApp.BINDINGS) for b in place.bindings}
    for term in ALL:
        named = re.findall(r"\{([\w.]+):", term.meaning)
        assert set(named) <= bound, term
        assert "{" not in NONE.words(term.meaning)
        assert not term.meaning.endswith(".")
        assert "\n" not in term.meaning


def test_signs_on_a_row_are_found() -> None:
    names = {t.name for terms in terms_in("›●   1  <E4> → 一亡似 CJK").values() for t in terms}
    assert names >= {"→ 一丁, = 你", "●, ›"}
    below = {t.name for ts in terms_in("2 ┬ … who had a son\n+2 more").values() for t in ts}
    assert below == {"┬ tree fork", "2 ┬ …", "+2 more"}
    assert not Term("x", r"\bx\b", "").is_in("axe")
