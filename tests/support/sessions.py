"""Sessions made through the journal, without a model."""

from pathlib import Path

import numpy as np

from tokexplore.models.api.provenance import Provenance
from tokexplore.models.distribution import Distribution
from tokexplore.models.sampling.sampler_view import Cut, SamplerView
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.session.journal import Journal
from tokexplore.models.session.meta import Summary
from tokexplore.models.session.writer import View
from tokexplore.models.tokens import Vocabulary
from tokexplore.models.tree.tree import TokenTree
from tokexplore.models.tree.trie import ROOT

VOCABULARY = Vocabulary.pack([b"<s>", *(b" w%d" % n for n in range(1, 300))], [0], 300)
PROVENANCE = Provenance("fake", "fake", "", "0" * 64, "float32", "cpu", "none", 300)
SETTINGS = SamplingSettings(temperature=0.8, top_p=0.75, seed=7)


def distribution(seed: int, count: int = 64) -> Distribution:
    """Some distribution over the vocabulary."""
    random = np.random.default_rng(seed)
    logits = np.sort(random.normal(0, 3, count).astype("f4"))[::-1]
    ids = random.permutation(300)[:count].astype("u4")
    lse = float(np.log(np.exp(logits.astype("f8")).sum() + 2.0))
    return Distribution(ids.tobytes(), logits.tobytes(), 300, lse, 3.25, "step", 0.01)


def journal_of(
    tree: TokenTree, path: Path, said: list[str] | None = None, *, lets_go: bool = False
) -> Journal:
    """A journal that keeps a tree in a file from now on."""
    heard: list[str] = [] if said is None else said
    journal = Journal(lambda: path, lambda text, _bad: heard.append(text), lets_go=lets_go)
    tree.recorder = journal.record
    journal.vocabulary(VOCABULARY)
    return journal


def grow(tree: TokenTree, leaf: int, count: int, seed: int = 0) -> int:
    """Let a path grow as a stream lets it; its new leaf."""
    number = tree.configure(SETTINGS)
    for index in range(count):
        told = distribution(seed + index)
        tree.record_distribution(leaf, told)
        at = index % 5
        cuts = (Cut("top-p", 0.75, 9, 0.25, tie=index % 2 == 0, low=-2.5),)
        leaf = tree.take(
            leaf, told.id_view[at], "sampled", settings=number, draw=index % 3,
            logprob=told.logprob(at), rank=at + 1, sampler_logprob=-1.5,
            sampler=SamplerView(SETTINGS, 9, 3.3, cuts),
        )  # fmt: skip
    return leaf


def prompted(tree: TokenTree) -> int:
    """A tree's first prompt; where it ends."""
    tree.load(PROVENANCE)
    leaf = ROOT
    for token in (0, 5, 6, 7):
        leaf = tree.take(leaf, token, "prompt")
    return leaf


def kept(path: Path, count: int = 20) -> TokenTree:
    """A tree of one prompt and two branches that was kept in a file and left by quitting."""
    tree = TokenTree()
    journal = journal_of(tree, path)
    leaf = prompted(tree)
    grow(tree, leaf, count)
    grow(tree, leaf, count, seed=1000)
    journal.view(View(Summary("fake", len(tree) - 1, "w5 w6 w7", 1.0), "{}"))
    assert journal.close("quit") == ""
    return tree


def same(one: TokenTree, other: TokenTree) -> bool:
    """Whether two trees say the same of everything but their candidates."""
    fields = (
        "parent", "token", "origin", "depth", "step", "rank", "draw", "draws", "settings_of",
        "branch_of", "children", "ended", "prompts", "settings", "branches",
        "provenance", "seconds", "compared", "spans", "bookmarks", "labels", "notes", "studies",
        "recomputed", "withdrawn",
    )  # fmt: skip
    if any(getattr(one, name) != getattr(other, name) for name in fields):
        return False
    if one.sampler.nodes != other.sampler.nodes:
        return False
    if any(one.sampler.get(n) != other.sampler.get(n) for n in one.sampler.nodes):
        return False
    logprobs = (one.logprob, other.logprob), (one.sampler_logprob, other.sampler_logprob)
    if not all(np.array_equal(a, b, equal_nan=True) for a, b in logprobs):
        return False
    told = ([tree.distribution.figures(n) for n in range(len(tree))] for tree in (one, other))
    return next(told) == next(told)
