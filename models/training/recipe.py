"""Every number that decides what the model becomes."""

from dataclasses import dataclass

from transformers import LlamaConfig, MixtralConfig, PreTrainedConfig

from tokexplore.models.errors import UsageError


@dataclass(frozen=True)
class Recipe:
    """The model's shape and its schedule; the defaults are the embedded model's own."""

    seed: int = 11
    vocabulary: int = 4096
    hidden: int = 320
    layers: int = 6
    heads: int = 5
    feed_forward: int = 832
    experts: int = 0
    """Feed-forward networks among which a router chooses for each token; 0 is a dense model."""
    chosen: int = 2
    """How many of them a token goes through."""
    balance: float = 0.02
    """Weight of the loss that spreads tokens over the experts (Switch Transformer's)."""
    context: int = 1024
    """Positions that the model is trained for; also the length of the last windows."""
    window: int = 256
    """Length of the windows before the last ones: short ones cost less attention."""
    long_share: float = 0.1
    """Share of the steps, at the end, whose windows are as long as the context."""
    batch: int = 8192
    """Tokens in a step."""
    tokens: int = 44_000_000
    """Tokens in all; the learning rate reaches zero with the last of them."""
    warmup: int = 100
    """Steps before the full learning rate."""
    decay_share: float = 0.6
    """Share of the steps, at the end, in which the learning rate falls to zero."""
    matrix_rate: float = 1e-2
    """Learning rate of Muon, for the matrices of the layers."""
    other_rate: float = 3e-3
    """Learning rate of AdamW, for the embedding and the norms."""
    weight_decay: float = 0.3
    dropout: float = 0.1
    """Share of what the embedding and each block's halves put out that is left out at random."""
    renamed: float = 0.5
    """Share of the proper names that are replaced by others, in each epoch anew."""
    clip: float = 1.0
    """Largest norm of the gradient of a step."""

    def __post_init__(self) -> None:
        for length in (self.window, self.context):
            if self.batch % length:
                raise UsageError(f"A batch of {self.batch} tokens is no multiple of {length}.")
        if self.steps < 1:
            raise UsageError(f"{self.tokens} tokens are less than one batch of {self.batch}.")

    @property
    def steps(self) -> int:
        """Optimizer steps in all."""
        return self.tokens // self.batch

    @property
    def first_long_step(self) -> int:
        """The step from which windows are as long as the context."""
        return round(self.steps * (1 - self.long_share))

    def rate_at(self, step: int) -> float:
        """Share of the full learning rate: warm-up, plateau, linear decay to zero.

        The plateau makes the budget a late decision: a run that turns out slow can be resumed with
        fewer tokens and still ends fully decayed (Hägele et al., 2024).
        """
        decay_steps = max(1.0, self.steps * self.decay_share)
        return min(1.0, (step + 1) / self.warmup, (self.steps - step) / decay_steps)

    def model_config(self, bos: int, eos: int) -> PreTrainedConfig:
        """The architecture: Llama's, or Mixtral's with experts; one embedding for both ends."""
        routing = {"num_local_experts": self.experts, "num_experts_per_tok": self.chosen}
        return (MixtralConfig if self.experts else LlamaConfig)(
            **(routing if self.experts else {}),
            vocab_size=self.vocabulary,
            hidden_size=self.hidden,
            intermediate_size=self.feed_forward,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.heads,
            max_position_embeddings=self.context,
            tie_word_embeddings=True,
            bos_token_id=bos,
            eos_token_id=eos,
        )


def sparse_recipe(experts: int) -> Recipe:
    """A smaller model with experts: what an experiment on routing needs, in a few megabytes."""
    return Recipe(hidden=192, layers=4, heads=3, feed_forward=128, experts=experts, context=512)
