"""What the app and its files say of weights that are held as codes."""

import json

from msgspec.structs import replace
from support.app import make_app, press, screen_text, until
from support.exports import imported, source_of, written
from support.fake_engine import FakeEngine
from support.lived import ended
from support.sessions import PROVENANCE, prompted

from tokexplore.models.tree.tree import TokenTree
from tokexplore.tui.export.json_fields import model_fields

WORDS = "int8 weights in 210 linear layers; embeddings, norms, head float32"


async def test_header_and_inspector_tell_them() -> None:
    engine = FakeEngine()
    engine._info = replace(engine.info, weight_format="int8", weights=WORDS)
    assert model_fields(engine.info)["weights"] == WORDS
    assert "weights" not in model_fields(replace(engine.info, weights=""))
    app = make_app(engine=engine)
    async with app.run_test(size=(120, 60)) as pilot:
        await until(pilot, lambda: ended(app))
        assert "int8/f32" in screen_text(app).splitlines()[0]
        await press(pilot, "i")
        assert WORDS in screen_text(app)
        assert app.controller.explorer.tree.provenance[0].weights == WORDS


def test_json_lines_tell_them_and_bring_them_back() -> None:
    tree = TokenTree()
    tree.load(replace(PROVENANCE, weights=WORDS))
    lines = written(source_of(tree, prompted(tree)), "jsonl", "all", 20)
    assert json.loads(lines.splitlines()[0])["weights"] == WORDS
    assert imported(lines).tree.provenance[0].weights == WORDS
