"""What an engine says, without what no two runs share."""

from typing import Any

import msgspec

from tokexplore.models.api.engine import (
    Described,
    DrawnToken,
    ScoredToken,
)
from tokexplore.models.api.model_info import ModelInfo
from tokexplore.models.api.next_tokens import NextTokens
from tokexplore.models.distribution import Distribution
from tokexplore.models.lab.repeat import Run


def timeless(value: Any) -> Any:
    """What an engine told, without the seconds that it took."""
    match value:
        case list():
            return [timeless(each) for each in value]
        case Distribution() | Run() | ModelInfo():
            return msgspec.structs.replace(value, seconds=0.0)
        case DrawnToken():
            distribution = timeless(value.distribution)
            return msgspec.structs.replace(value, distribution=distribution, threads=0)
        case NextTokens() if value.distribution is None:
            return value
        case NextTokens() | ScoredToken() | Described():
            return msgspec.structs.replace(value, distribution=timeless(value.distribution))
    return value
