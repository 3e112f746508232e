"""What the app and its files say of adapters."""

from msgspec.structs import replace
from support.app import make_app, press, screen_text, until
from support.exports import imported, source_of, written
from support.fake_engine import FakeEngine
from support.lived import ended
from support.sessions import PROVENANCE, prompted

from tokexplore.models.api.provenance import AdapterInfo
from tokexplore.models.tree.tree import TokenTree

STYLE = AdapterInfo("style", "/loras/style", "owner/base", "LoRA", "8", ("q_proj",), "a" * 64)


async def test_header_and_inspector_tell_them() -> None:
    engine = FakeEngine()
    engine._info = replace(engine.info, name="base+style", adapters=(STYLE,))
    app = make_app(engine=engine)
    async with app.run_test(size=(120, 60)) as pilot:
        await until(pilot, lambda: ended(app))
        assert "base+style" in screen_text(app).splitlines()[0]
        await press(pilot, "i")
        assert "style: LoRA of rank 8 on q_proj, from /loras/style" in screen_text(app)
        assert app.controller.explorer.tree.provenance[0].adapters == (STYLE,)


def test_json_lines_tell_them_and_bring_them_back() -> None:
    tree = TokenTree()
    tree.load(replace(PROVENANCE, adapters=(STYLE,)))
    source = source_of(tree, prompted(tree))
    lines = written(source, "jsonl", "all", 20)
    again = imported(lines)
    assert again.tree.provenance[0].adapters == (STYLE,)
    first, second = (text.splitlines()[0] for text in (lines, written(again, "jsonl", "all", 20)))
    assert first == second
