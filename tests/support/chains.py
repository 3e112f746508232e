"""The processors that transformers' `generate` makes of sampling settings, in its order."""

from transformers import (
    EpsilonLogitsWarper,
    EtaLogitsWarper,
    LogitsProcessor,
    MinPLogitsWarper,
    NoBadWordsLogitsProcessor,
    NoRepeatNGramLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
    SequenceBiasLogitsProcessor,
    TemperatureLogitsWarper,
    TopHLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
    TypicalLogitsWarper,
)

from tokexplore.models.sampling.settings import SamplingSettings


def transformers_chain(chosen: SamplingSettings) -> list[LogitsProcessor]:
    """As `GenerationMixin._get_logits_processor` appends them."""
    chain: list[LogitsProcessor] = []
    if chosen.bias:
        chain.append(SequenceBiasLogitsProcessor(dict(chosen.bias)))
    if chosen.repetition_penalty != 1:
        chain.append(RepetitionPenaltyLogitsProcessor(chosen.repetition_penalty))
    if chosen.no_repeat_ngram:
        chain.append(NoRepeatNGramLogitsProcessor(chosen.no_repeat_ngram))
    if chosen.banned:
        chain.append(NoBadWordsLogitsProcessor([list(ids) for ids in chosen.banned]))
    if chosen.greedy:
        return chain
    if chosen.temperature != 1:
        chain.append(TemperatureLogitsWarper(chosen.temperature))
    if chosen.top_h:
        chain.append(TopHLogitsWarper(chosen.top_h))
    if chosen.top_k:
        chain.append(TopKLogitsWarper(chosen.top_k))
    if chosen.top_p < 1:
        chain.append(TopPLogitsWarper(chosen.top_p))
    if chosen.min_p:
        chain.append(MinPLogitsWarper(chosen.min_p))
    if chosen.typical_p < 1:
        chain.append(TypicalLogitsWarper(chosen.typical_p))
    if chosen.epsilon_cutoff:
        chain.append(EpsilonLogitsWarper(chosen.epsilon_cutoff))
    if chosen.eta_cutoff:
        chain.append(EtaLogitsWarper(chosen.eta_cutoff))
    return chain
