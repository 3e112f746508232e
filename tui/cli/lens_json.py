"""`tokexplore lens --format json`: one object."""

import msgspec

import tokexplore
from tokexplore.models.lab.lens import Column, Lens
from tokexplore.tui.cli.lens_values import Looked
from tokexplore.tui.export import json_fields


def lens_object(looked: Looked) -> str:
    """A step and what each of the settings makes of it, on one line."""
    lens, distribution = looked.lens, looked.lens.distribution
    tokens = [
        {"id": c.token, "text": name, "bytes": raw.hex()}
        for c, name, raw in zip(lens.candidates, looked.names, looked.raw, strict=True)
    ]
    model = looked.info is not None
    return json_fields.text_line(
        {
            "type": "lens",
            "version": tokexplore.__version__,
            "model": looked.info.source if looked.info else None,
            "provenance": msgspec.to_builtins(looked.info.provenance) if looked.info else None,
            "prompt": looked.vocabulary.text(looked.ids) if looked.vocabulary else None,
            "prompt_ids": list(looked.ids) if model else None,
            "position": len(looked.ids) if model else None,
            "taken": looked.taken,
            "vocabulary": distribution.vocabulary,
            "complete": distribution.complete,
            "entropy": distribution.entropy,
            "lse": distribution.lse,
            "tail_mass": lens.rest,
            "settings": [_setting(column, lens, tokens) for column in lens.columns],
        }
    )


def _setting(column: Column, lens: Lens, tokens: list[dict[str, object]]) -> dict[str, object]:
    figures = column.figures
    drawn = column.drawn or (None,) * len(tokens)
    rows = zip(tokens, lens.candidates, column.shares, drawn, strict=True)
    return {
        "sampling": json_fields.sampling_fields(column.settings),
        "entropy": figures and figures.entropy,
        "kl": figures and figures.kl,
        "kept": figures and figures.kept,
        "removed": figures and figures.removed,
        "tail_mass": column.rest,
        "stages": msgspec.to_builtins(column.stages),
        "candidates": [
            {
                **token,
                "rank": candidate.rank,
                "logprob": candidate.logprob,
                "probability": candidate.probability,
                "sampler_probability": share.probability,
                "sampler_at_most": share.at_most,
                "cut": share.cut or None,
                "drawn": count,
            }
            for token, candidate, share, count in rows
        ],
    }
