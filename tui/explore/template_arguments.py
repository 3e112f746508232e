"""Arguments of a chat template, as they are typed."""

import json
from collections.abc import Sequence

from tokexplore.models.errors import UsageError
from tokexplore.models.untrusted import brief, json_of


def template_arguments(given: Sequence[str]) -> dict[str, object]:
    """NAME=VALUE pairs; a value that is JSON is taken as such, any other as text.

    Raises:
        UsageError: for a pair without a name or an equals sign, and for JSON that is nested too
            deeply or has too long a number.
    """
    arguments: dict[str, object] = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise UsageError(f"template argument {brief(pair)} is not NAME=VALUE.")
        try:
            arguments[name] = json_of(value, exact=True)
        except json.JSONDecodeError:
            arguments[name] = value
        except ValueError as error:
            raise UsageError(f"template argument {brief(pair)} {error}.") from None
    return arguments
