"""The words of the screens that the main one opens, each explained in a sentence."""

from collections.abc import Mapping

from tokexplore.tui.presenters.term import Term

TERMS_BEYOND: Mapping[str, tuple[Term, ...]] = {
    "Futures": (
        Term("1, 2, 3", r"^ *›? *\d+ [▶‖■] ", "a lane: ▶ it streams, ‖ it is held, ■ it ended; "
             "its first token with the model's probability, the entropy of its steps as bars"),
        Term("Σ, /tok", r"Σ -?[\d.]+", "sum of the model's logprobs of a lane's tokens, and "
             "their mean (nats)"),
        Term("×2", r" ×\d", "so many draws gave this first token"),
        Term("= lane 1", r"= lane \d", "the same text as that lane's, of other tokens; "
             "{futures.fold:f} leaves it out"),
    ),
    "Growing a tree": (
        Term("covered, open, cut", r"\bcovered [\d.]+%", "probability of texts that are over, of "
             "what may be gone on from (with the tokens that are not listed), and of what the "
             "budget keeps from that: together 1"),
        Term("largest open", r"\blargest open\b", "the most probable path that may be gone on "
             "from: the next one that is"),
        Term("at least, at most", r"\bat least +[\d.]+%", "the probability that the finished text "
             "holds what is watched: the mass of texts that surely do, and that plus all that may "
             "yet"),
        Term("open, cut, eos", r"% +[█▏▎▍▌▋▊▉]+ +(?:open|cut|eos|end of turn|stop)\b",
             "how a text stands: it may be gone on from; the budget or the context keeps it from "
             "that; or it is over, and why"),
    ),
    "Why this token": (
        Term("emb, 1, 2, ...", r"^ *emb\b", "the state that the first layer takes, and those that "
             "each layer leaves"),
        Term("it would say", "it would say", "the most probable tokens of a layer's state, read "
             "through the final norm and head as if it were the last one's (the logit lens)"),
        Term("#3", r"% #[\d,]+", "the token's rank in that layer's reading"),
        Term("H, KL of a layer", r"\bH +KL nats", "entropy of the layer's reading, and "
             "KL(model's own‖this one), nats"),
        Term("off by", r"\boff by \d", "the check: how far what is shown is from the model's own "
             "logits"),
        Term("Δlogit", "Δlogit", "what a part of the model added to the one token's logit less the "
             "other's, the final norm as it was: all of them sum to the model's difference"),
        Term("attention, MLP", r"\d (?:attention|MLP)\b", "a layer's blocks, each of which adds to "
             "the state; {why.heads:h} tells the heads of one apart"),
        Term("stretch", r"^ *stretch\b", "a sentence, a word, a token; of a chat a turn, or what "
             "its template wrote"),
        Term("nats, pushed", r"\bnats +pushed", "the token's logprob as it is less that with the "
             "stretch invisible to all later tokens: right of the middle it pushed towards"),
        Term("hidden: p", "hidden: p", "the token's probability with the stretch invisible"),
        Term("passes", r"[\d.]+ passes", "what was computed, in forward passes over the path"),
        Term("grad·x, int. grad", r"grad·x|int\. grad", "estimates of the same by gradients: "
             "gradient x input, and integrated gradients from embeddings of 0"),
        Term("rank correlation", "rank correlation", "Spearman's, of the estimate with what hiding "
             "each stretch did: 1 is the same order"),
        Term("completeness error", "completeness error", "how far the scores' sum is from what all "
             "embeddings together did to the logprob"),
        Term("a sink", r"\bfirst token: a sink\b", "it takes what a head does not need: a "
             "large weight on it means little"),
        Term("cosine, |Δ|/|h|", r"\bcosine\b", "how far the two models' states are apart: the "
             "cosine between them, and the length of their difference over the first one's"),
    ),
    "Map": (
        Term("map", r"^─ map\b", "what was explored after the prompt, steps from left to right: a "
             "block is as high as its token is probable after those before it"),
        Term("╱╱╱", "╱╱", "what may follow too and was not explored"),
        Term("░░░", "░░", "tokens that are too low to be drawn one by one: {map.zoom:⏎} on the "
             "block before them shows them"),
        Term("····, a block", "····", "the figure that colours show is not known: without a "
             "probability it has the height that the known ones leave"),
        Term("+5.3 bits", r"\+[\d.?]+ bits", "how deep a block is: minus the base-2 logarithm of "
             "its path's probability from where the map begins"),
        Term("path 3.1% of the map", r"\bpath \S+ of the map", "the probability of all tokens from "
             "where the map begins up to this one together"),
        Term("of what has the whole height", "of what has the whole height", "the same from the "
             "block in the first column on"),
        Term("tokens after it", r"\btokens? after it, [\d,]+ path", "what was explored after the "
             "block, and how many ends it has"),
        Term("mass of a block", r"\bmass (at least )?[\d.]+\S*( ·|,| …)", "probability of going on "
             "from it along one of those paths to its end"),
        Term("mean H", r"\bmean H [\d.?]", "mean entropy of the steps at which those tokens were "
             "taken"),
    ),
    "Compare, temperatures, lab": (
        Term("shared 12 tokens", r"shared [\d,]+ token", "what all compared branches begin with"),
        Term("meets again", "meets again", "from here on two branches have the same tokens again"),
        Term("sum", r"\bsum [-−]?\d", "logprobs of the generated tokens, added up (nats)"),
        Term(
            "109 of 149 tokens", r"\d of [\d,]+ tokens|\d (of prompt|not scored)\b",
            "of so many tokens after the fork are mean and sum: neither of prompt (^) nor of what "
            "has no logprob",
        ),
        Term("to the best", "to the best", "a text's probability as a share of the most probable "
             "one's: 1/4.41 is 4.41 times less likely"),
        Term("▶, ■", r"^ [› ] [▶■] (greedy|T \d)", "a temperature's continuation streams, has "
             "ended"),
        Term("first 3 in branch 2", r"first \d+ in branch", "a continuation was kept as far as it "
             "was, and went on since: keeping it again adds the rest"),
        Term("nats a token", "nats a token", "mean surprisal of a continuation"),
        Term("unique of 30", r"\d unique of \d", "different texts among the runs"),
        Term("first fork", "first fork", "the first step at which runs took different tokens"),
        Term("control", r"\bcontrol\b", "the same batch computed again: it has to give equal bits"),
        Term(
            "verdict", r"\bverdict\b",
            "why runs part: a draw of the sampler, or arithmetic; `not told` where a server draws "
            "under seeds that differ",
        ),
        Term(
            "noise", r"\bnoise [\d.]|\(noise", "how far the same logit difference moves when it is "
            "computed in other ways (nats)",
        ),
        Term("different beginnings", "different beginnings", "how many texts differ within their "
             "first t tokens, for each t"),
        Term("varied", r"varied:", "what differs between the runs"),
        Term("×3", r"×\d", "so many runs have this text"),
        Term("first − second", "first − second", "difference of the two logits, in each way of "
             "computing"),
    ),
}  # fmt: skip
"""By where they stand."""
