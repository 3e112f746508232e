"""Plain passes of a model, written without the engine: f64, eager attention, no cache."""

import copy
from collections.abc import Sequence

import torch
from transformers import PreTrainedModel


def plain(model: PreTrainedModel) -> PreTrainedModel:
    """A model's twin in f64 with eager attention and experts one by one."""
    twin = copy.deepcopy(model).double()
    if twin._can_set_attn_implementation():
        twin.set_attn_implementation("eager")
    if twin._can_set_experts_implementation():
        twin.set_experts_implementation("eager")
    return twin


@torch.no_grad()
def logprobs_without(
    twin: PreTrainedModel, ids: Sequence[int], hidden: range, window: int | None = None
) -> torch.Tensor:
    """Logprobs after a path, [V], under a mask that is made by hand.

    Args:
        hidden: columns that no later token sees.
        window: tokens that a sliding layer sees, itself included.
    """
    n = len(ids)
    full = torch.zeros(n, n, dtype=torch.float64)
    sliding = torch.zeros(n, n, dtype=torch.float64)
    for query in range(n):
        for key in range(n):
            unseen = key > query or (key in hidden and key != query)
            if unseen:
                full[query, key] = -1e300
            if unseen or (window is not None and query - key >= window):
                sliding[query, key] = -1e300
    mask: object = full[None, None]
    kinds = getattr(twin.config, "layer_types", None)
    if window is not None:
        mask = sliding[None, None]
        if kinds and "full_attention" in kinds:
            mask = {"full_attention": full[None, None], "sliding_attention": mask}
    given = torch.tensor([list(ids)])
    logits = twin(input_ids=given, attention_mask=mask, use_cache=False).logits[0, -1]
    return logits.log_softmax(-1)


def target_of(
    twin: PreTrainedModel, embeddings: torch.Tensor, tokens: Sequence[int]
) -> torch.Tensor:
    """The logprob of the one token, or the first's less the second's, after embeddings [n, H]."""
    logits = twin(inputs_embeds=embeddings[None], use_cache=False).logits[0, -1]
    logprobs = logits.log_softmax(-1)
    return logprobs[tokens[0]] - (logprobs[tokens[1]] if len(tokens) > 1 else 0.0)


def slopes(
    twin: PreTrainedModel, ids: Sequence[int], tokens: Sequence[int], scale: float
) -> torch.Tensor:
    """Gradient at the scaled embeddings times the embeddings, by token, [n]."""
    embeddings = twin.get_input_embeddings()(torch.tensor(list(ids))).detach()  # [n, H]
    leaf = (scale * embeddings).requires_grad_()
    target_of(twin, leaf.clone(), tokens).backward()
    assert leaf.grad is not None
    return (leaf.grad * embeddings).sum(-1)
