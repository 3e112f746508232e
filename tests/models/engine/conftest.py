"""Tiny random models, made once for the whole run."""

from collections.abc import Callable
from functools import cache

import pytest
import torch
from support import families
from transformers import PreTrainedModel

from tokexplore.models.engine.local import LocalEngine

torch.set_num_threads(1)


@cache
def _model(family: str) -> PreTrainedModel:
    return families.model(family)


@pytest.fixture
def model_of() -> Callable[[str], PreTrainedModel]:
    """A family's random model; nobody changes it."""
    return _model


@pytest.fixture
def engine_of() -> Callable[..., LocalEngine]:
    """A new engine on a family's random model."""

    def make(family: str = "llama", **facts: object) -> LocalEngine:
        return LocalEngine(families.loaded(_model(family), **facts))

    return make
