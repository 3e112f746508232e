"""Numbers that cannot be taken are told by their own value, with the limit that stands."""

import pytest

from tokexplore.models.errors import UsageError
from tokexplore.tui.cli.app import SUBCOMMAND as APP
from tokexplore.tui.cli.lens import LensOptions
from tokexplore.tui.cli.lens_words import given_words


@pytest.mark.parametrize("text", ["-1e-1", "-.1", "-1E-1", "-0.1e0", "-0.1"])
def test_a_negative_number_is_no_option(text: str) -> None:
    app, _ = APP.read(["--presence-penalty", text, "--bias-id", "5=-1e1"])
    assert app.settings.presence_penalty == -0.1


WRONG = {
    "frequency penalty -1e+308 is not": ("--frequency-penalty", "-1e308"),
    "presence penalty -inf is not": ("--presence-penalty", "-inf"),
    "give 1 to 2147483647, or auto": ("--threads", "99999999999999"),
    "give ID=NUMBER": ("--bias-id", "5=1e308"),
    "give TEXT=NUMBER": ("--bias", "5=1e308"),
}


@pytest.mark.parametrize(("said", "given"), WRONG.items(), ids=WRONG.keys())
def test_a_number_out_of_range_is_told_with_its_limit(said: str, given: tuple[str, str]) -> None:
    with pytest.raises(UsageError) as told:
        APP.read(given)
    assert said in str(told.value)


@pytest.mark.parametrize("words", ["a=nan", "a=inf,b=1", "a=1,b=-inf"])
def test_a_logit_that_is_no_number_is_named_before_anything_is_counted(words: str) -> None:
    value, word = next(p.split("=")[::-1] for p in words.split(",") if p[-1] in "nf")
    with pytest.raises(UsageError, match=f"^{value} is no logit for '{word}'"):
        given_words(LensOptions(logits=words))
