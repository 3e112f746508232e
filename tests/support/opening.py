"""Open a model as a test does: what is told about it, or the sentence that refuses it."""

from pathlib import Path

import pytest

from tokexplore.models.api.options import LoadOptions
from tokexplore.models.engine.loading.opening import Loaded, load
from tokexplore.models.errors import ModelError, TokexploreError


def opened(path: Path | str, **options: object) -> Loaded:
    return load(LoadOptions(model=str(path), **options), lambda _: None)  # type: ignore[arg-type]


def refusal(path: Path | str, kind: type[TokexploreError] = ModelError, **options: object) -> str:
    """The one sentence that loading ends with."""
    with pytest.raises(kind) as caught:
        opened(path, **options)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.endswith((".", "?"))
    return sentence
