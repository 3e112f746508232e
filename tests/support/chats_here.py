"""The embedded model with a chat template, which it has not."""

import json
import shutil
from pathlib import Path

from support.stub_chat import TEMPLATE
from tokexplore.models.catalog.located import EMBEDDED_DIRECTORY


def save_with_template(folder: Path) -> str:
    """Put it into a folder that is not there yet; the folder as an option."""
    shutil.copytree(EMBEDDED_DIRECTORY, folder)
    config = folder / "tokenizer_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"chat_template": TEMPLATE}))
    return str(folder)
