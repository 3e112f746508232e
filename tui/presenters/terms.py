"""The words, signs and figures that the screens show, each explained in a sentence: one table."""

import re
from collections.abc import Mapping
from typing import get_args

from tokexplore.models.api.engine import EndReason
from tokexplore.models.lab.flips import SIGMAS
from tokexplore.models.sampling.settings import STAGES
from tokexplore.models.sampling.stage import Stage
from tokexplore.tui.presenters.term import Term
from tokexplore.tui.presenters.terms_beyond import TERMS_BEYOND
from tokexplore.widgets.entropy_strip import FAINTEST


def _word(name: str, meaning: str) -> Term:
    """A term that is a word of its own, or several."""
    return Term(name, rf"(?<![\w-]){re.escape(name)}(?![\w-])", meaning)


def _stage(stage: Stage, meaning: str) -> Term:
    """A stage of the sampler: `p .75` in the header, `top-p` in the lens."""
    number = r"-?\.?\d"
    short = re.escape(stage.short)
    forms = [
        rf"(?<![\w-]){short} {number}",
        rf"\d {short}\b",
        rf"^ *›? *{stage.option}†? +{number}",
    ]
    name = f"{stage.short} ({stage.name})" if stage.short not in stage.name else stage.name
    return Term(name, "|".join(forms), meaning)


_STAGES = {
    "bias": "logits of these tokens are raised or lowered by a number before anything else",
    "repetition_penalty": "logits of tokens that the path has are divided by it where above 0, "
    "else multiplied: 1 is off",
    "no_repeat_ngram": "no run of so many tokens comes twice: what would complete one is cut",
    "banned": "these tokens are never taken: their logit is −∞",
    "presence_penalty": "taken off the logit of every token generated before: 0 is off",
    "frequency_penalty": "taken off a token's logit for each time it was generated: 0 is off",
    "temperature": "logits are divided by it, q ~ exp(logit / T): below 1 sharper, above 1 "
    "flatter, 0 greedy",
    "dynamic_range": "the temperature is up to this lower where the entropy is low, else higher: "
    "0 is off",
    "top_h": "the first candidates stay, up to this share of the entropy: 0 is off",
    "top_k": "the k most probable candidates stay, the others are cut: 0 is off",
    "top_p": "nucleus: the fewest most probable candidates whose probabilities reach p stay, the "
    "others are cut: 1 is off",
    "min_p": "candidates stay that have at least this share of the first one's probability: 0 is "
    "off",
    "typical_p": "candidates stay whose surprisal is nearest to the entropy, up to this mass: 1 is "
    "off",
    "epsilon_cutoff": "candidates stay that have at least this probability: 0 is off",
    "eta_cutoff": "as epsilon, with a lower bound where the entropy is high: 0 is off",
    "seed": "all draws come of it: the same seed, path and number of the draw give the same token",
}
"""By field."""

_REASONS = "|".join(get_args(EndReason))

TERMS: Mapping[str, tuple[Term, ...]] = {
    "Header": (
        Term(
            "BROWSE, COMPARE, ...", r"tokexplore (BROWSE|COMPARE|TEMPERATURES|LAB)\b",
            "the screen that you are on; {program.help:?} tells its keys",
        ),
        Term(
            "8.6M", r"\d[kMBT] \S+ (f32|bf16|f16)\b",
            "how many parameters the model has: k, M, B are thousands, millions, billions",
        ),
        Term(
            "f32, bf16, f16", r"\b(f32|bf16|f16)\b",
            "the numbers that are computed with: 24 significant bits in f32, 11 in f16, 8 in bf16",
        ),
        Term("cpu, cuda, mps", r"\b(cpu|cuda(:\d+)?|mps|xpu)\b", "the device that computes"),
        _word(
            "greedy",
            "temperature 0: the candidate with the largest logit is taken, nothing is drawn",
        ),
        Term(
            "suggested", r"suggested|as the model suggests",
            "sampling settings that the model's makers give with it; {act.adopt:A} adopts them",
        ),
        _word("single step", "one token at a time: {act.play:space} generates the next one, "
             "{act.single:S} ends it"),
        Term("● REC", "● REC", "the screen is recorded: {file.record:!} stops, {file.mark:@} "
             "marks a moment"),
        _word("tok/s", "tokens a second, over the last 64 of this stream"),
        _word("prefill", "the model reads the prompt, many tokens in one pass, before it goes on; "
              "of a chat: the words that an answer was begun with"),
        _word("rendering the chat", "the model's chat template makes tokens of what was sent"),
        _word("scoring", "the logprobs of given tokens are computed, many in one pass"),
        Term("ctx 58/1024", r"ctx \d", "tokens of this path, of those that the context holds"),
        Term("waiting", r"\bwaiting\b", "the model is there and waits for a prompt "
             "({act.prompt:p})"),
        Term("streaming, paused", r"\bstreaming\b|‖ paused", "tokens come; or none do until "
             "{act.play:space}"),
        Term(
            "ended: eos, end of turn, stop, length, context", rf"\bended(: ({_REASONS}))?",
            "why no more come: the model ended text or turn, a stop text came, as many came as "
            "were asked for ({act.play:space} goes on), the context is full",
        ),
        Term(
            "recorded", r"○ recorded", "a session is open without its model: all can be looked at"
        ),
        Term("replay", r"▷ replay", "a session is lived again, as it was recorded"),
        Term("engine lost", "engine lost", "the process of the model is gone; {view.inspect:i} "
             "says why"),
        Term(
            "loading libraries, reading files",
            r"\b(starting|loading( libraries)?|reading files)\b",
            "PyTorch and transformers start (libraries), then files and weights are read",
        ),
        Term(
            "asking the server", "asking the server",
            "what answers at the address, with which model, and what it can do",
        ),
        Term(
            "checking the KV cache", "checking the KV cache",
            "a probe: a few tokens are fed in several ways and have to give the same logits",
        ),
        Term(
            "weights, downloading", r"\b(weights|downloading)\b", "gigabytes of the model that "
            "are read, or fetched, of all",
        ),
    ),
    "Story": (
        Term("story", r"^─ story\b", "the text of the path in view: prompt and generated tokens"),
        Term(
            "branch 2 of 3", r"\bbranch \d", "a path from the prompt to its last token, by number; "
            "{branch.next:J} {branch.previous:K} {branch.list:b} go to others",
        ),
        Term("3 listed", r"\d listed", "branches in the list: hidden ones are left out"),
        Term("chat", r"story · chat", "the prompt is a conversation, put in words by the template"),
        Term(
            "remarks", r"\bremarks \(i\)", "something is to be known of the prompt: "
            "{view.inspect:i} says it",
        ),
        _word("surprisal", "minus the logprob of a token: 0 is certain, 6.9 nats is 1 in 1,000"),
        Term(
            "probability", r"\bprobability +\S", "the colours show it: of the token taken, "
            "as a share of the most probable one's",
        ),
        Term(
            "nats, bits", r"\b(nats|bits)\b",
            "units of logprobs: natural logarithm, or base 2; 1 nat is 1.44 bits ({view.unit:V})",
        ),
        Term("_ begins a token", "_ begins a token", "the first character of each token is "
             "underlined; · is a token without text ({view.boundaries:|})"),
        Term("┬ tree fork", "┬", "more than one token was taken here; the numbers are branches"),
        Term(
            "2 ┬ …", r"^\d+ ┬ ", "a branch that was left: words shared with the path in view, then "
            "its own from where it leaves that one",
        ),
        Term("+2 more", r"^\+[\d,]+ more\b", "branches that were left and have no line here: "
             "{branch.list:b} lists all"),
        Term(
            "mean logprob", "mean logprob|\\bmean [-−]?\\d",
            "logprobs of the tokens added up, by how many they are (nats)",
        ),
        Term(
            "21 generated:, 20 scored:", r"\d (generated|scored): ",
            "the tokens of a turn that its logprob, surprisal and mean are of: not what the answer "
            "was begun with, nor what has no logprob",
        ),
        Term("reasoning", r"\breasoning\b", "what a model writes for itself before it answers"),
        Term("template", r"^ ?template\b", "tokens that the chat template writes around the turns"),
        Term("▸ folded", r"^ ?▸", "a long prompt on one line: {view.fold:z} shows all of it"),
    ),
    "Step": (
        Term("step", r"\bstep \d", "generated tokens from 1 on; the prompt's have none"),
        Term("position", r"\bposition \d", "all tokens of the path, counted from 0"),
        Term("open end", "open end", "after the last token: the next one is not taken yet"),
        Term("◆", "◆", "the step is bookmarked ({branch.bookmark:'})"),
        Term(
            "H", r"\bH (\?|\d)", "entropy of the model's distribution, −Σ p ln p over the whole "
            "vocabulary (nats): 0 is certain",
        ),
        Term(
            "margin", r"\bmargin\b", "logprob of the first candidate minus that of the second: "
            "how little could change the order (nats)",
        ),
        Term(
            "bf16 steps", r"(bf16|f16) steps",
            "the margin in steps of the grid that logits of this format lie on",
        ),
        Term("a tie", r"\ba tie, lower id first|\btie\b",
             "two logits are equal: the lower id comes first"),
        Term("(now 1.23)", r"\(now [\d.]", "the figure as computed again, beside the recorded one"),
        Term(
            "of the first 20", r"of the first \d", "the engine tells only so many candidates: "
            "what needs all of them is ?, or bounds",
        ),
        Term(
            "▲ could flip", "▲", f"the margin is below {SIGMAS:g} standard deviations of the "
            "measured numeric noise: another machine may take another token",
        ),
        Term(
            "26 tokens read again", r"tokens read again",
            "the KV cache of that place was no longer held: the model read them once more for this "
            "step",
        ),
        Term(
            "8 rows in one pass", r"\d rows in one pass", "streams that went on together by this "
            "step: where the dtype is coarse, its last digits depend on how many",
        ),
        Term(
            "recomputed", "recomputed", "the logits were no longer kept: a pass computed them again"
        ),
        Term(
            "kept 9 of 4,096", r"\bkept \d", "candidates that the sampler's filters leave to draw "
            "from, of the vocabulary",
        ),
        Term("(bounds)", r"\(bounds\)", "it lies between these: only first candidates are known"),
    ),
    "Candidates": (
        Term(
            "rank", r"\brank\b", "place by the model's logits: 1 + how many are larger; equal "
            "ones share it (2=)",
        ),
        Term(
            "token", r"rank +token|branch +at +token",
            "a piece of text with its own number: ␣ is a space, ⏎ a line break, <E4> a byte",
        ),
        Term("→ 一丁, = 你", r"<[0-9A-F]{2}> [→=]", "characters that a byte can begin, or "
             "that it makes with the tokens before it"),
        Term("id", r"token +id\b", "the token's number in the vocabulary, from 0"),
        Term(
            "logprob", r"\blogprob\b", "natural logarithm of the model's probability (nats): "
            "logit − log Σ exp(logits)",
        ),
        Term(
            "model", r"logprob +model|bits +model|token +model|entropy +model",
            "the model's own probability, before temperature and filters: exp(logprob)",
        ),
        Term("bars", r"model.*\n.*█", "the model's probability, scaled to the first candidate's"),
        Term("cum", r"\bcum\b", "the model's probabilities of this row and all above, added up"),
        Term(
            "sampler", r"\bsampler\b", "the probability that a token is drawn with: after "
            "penalties, temperature and filters; else what cut it",
        ),
        Term("4,079 more", r"(?<![+\d,])[\d,]+ more\b", "candidates below the last row, and "
             "their probability"),
        Term("●, ›", r"^[› ]●|›", "● the token that the path takes, › the row you are on"),
        Term("1 +␣king", r"^[› ][●◇ ] *[\d?]+[ =]\+", "the row was chosen ({act.choose:+}): "
             "{act.futures:F} opens the rows that are, a lane each"),
        Term("live", r"\blive\b", "the step that the stream is at: it changes with each token"),
    ),
    "Branches": (
        Term(
            "at, @2, p109", r"branch +at\b", "where it left its branch: @2 is a step, p109 a "
            "position in what that was given",
        ),
        Term("len", r"\blen\b", "tokens generated on it since"),
        Term(
            "lp/tok, bits/t", r"lp/tok|bits/t",
            "mean logprob of its generated tokens (nats or bits a token): nearer to 0 is likelier",
        ),
        Term("mass", r"lp/tok +mass|bits/t +mass", "probability of all tokens since the fork "
             "together, exp of the sum of their logprobs; empty where one is not known"),
        Term("main", r"\bmain\b", "the first branch of a prompt: it left no other"),
    ),
    "Strip": (
        Term(
            "entropy", r"\bentropy\b", "how open each step was (H, nats); the number on the right "
            "is the full bar",
        ),
        Term("≈ close call", "≈", "a step with a small margin, under 0.5 nats by default "
             "({jump.close:n})"),
        Term("^", r"\^", "a token of the prompt: it has no step number"),
        Term("max of 4, max of 2 ^", r"max of \d", "the path is longer than the strip: a bar is "
             "the largest of so many steps, or only before them of so many tokens of the prompt "
             "(^)"),
        Term("bits per byte .91 / .88", r"bits per byte ([\d.]|inf)", "what the text "
             "costs the model / a second one with other tokens: surprisal of the spans, by byte"),
        Term("other tokens", "other tokens", "a second model cuts the text in its own way: both "
             "are compared wherever tokens of both end, and there is no KL"),
        Term("span of 2 / 3 tokens, span |Δ|", r"span of \d+ / \d+ tokens?|span \|Δ\|",
             "the text between two such places: what it costs both (nats), and how far that is "
             "apart; {jump.parted:>} goes to the spans furthest apart"),
        Term("4 tokens left out", r"\d tokens? left out", "in spans before which one has nothing, "
             "or that one alone reads with a special token"),
        Term(
            "watched", r"\bwatched\b", f"bars of a token's logprob at each step: full is 0 nats, "
            f"empty −{FAINTEST:g} or less ({{view.watch:w}})",
        ),
    ),
    "Second model": (
        Term("second", r"model +second\b", "a second model's own probability of the row "
             "({view.against:&}); blank is not known yet"),
        Term("Δ nats, Δ bits", r"Δ (nats|bits)", "its logprob less the model's: the bar goes right "
             "of the middle where it is surer, left where less, full at 2 nats"),
        Term("◇", r"^[› ]◇", "the token that the second model holds most probable "
             "({row.second:*}); where it is the taken one, ●"),
        Term("Δlogprob", "Δlogprob", "the text's colour: red where the second model was less sure "
             "of the token, blue where surer"),
        Term("KL", r"\bKL [\d.▁-█]|mean KL", "KL(model‖second) = Σ p ln(p/q) over the whole "
             "vocabulary, nats: how far apart both are before a token"),
        Term("|Δ|", r"\|Δ\|", "how far both logprobs of the token are apart, where one of the two "
             "lists its first candidates only"),
        Term("accepts", r"\baccepts \S+%", "Σ min(p, q): how often one takes over what the other "
             "drew, as in speculative decoding"),
        Term("same first choice", "same first choice", "steps at which both hold the same token "
             "most probable; {jump.parted:>} shows the others, the furthest apart first"),
    ),
    "Sampler": (
        *(_stage(stage, _STAGES[stage.field]) for stage in STAGES),
        Term("before, now, A, B, C", r"\bbefore +.*\bnow\b", "the settings in force, those of the "
             "knobs, and those that {lens.pin:p} pinned"),
        _word("perplexity", "exp(H): among how many equal choices it would be as open"),
        _word("kept tokens", "candidates that the filters leave"),
        _word("mass removed", "the model's probability of all candidates that are cut"),
        _word("KL to model", "Σ q ln(q/p): how far the sampler's q is from the model's p (nats)"),
        Term("kept, probability moved", "probability moved", "of each stage: candidates after it, "
             "and half of Σ |q − q before|, what it moved from some to others"),
        Term("drawn", r"now +drawn", "how often a candidate came in 1,000 draws ({lens.draw:d})"),
        Term("u", r"\bu = [\d.]", "the uniform number in [0, 1) that picks the token: the first "
             "whose running sum of q passes it"),
        Term("†", "†", "a stage that transformers does not have"),
        Term("draw", r"\bdraws?\b", "which time a step was drawn: {act.draw:r} draws it again, "
             "with the next "
             "number u of the same seed"),
    ),
    **TERMS_BEYOND,
}  # fmt: skip
"""By where they stand."""


def terms_in(text: str) -> dict[str, list[Term]]:
    """The terms that a text of the screen has, by where they stand."""
    found = {place: [term for term in terms if term.is_in(text)] for place, terms in TERMS.items()}
    return {place: terms for place, terms in found.items() if terms}
