"""The model card: what the model was made from, how, how good it is, and how it writes."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from tokexplore.models.training.checkpoint import Progress
from tokexplore.models.training.corpus import Book, Corpus
from tokexplore.models.training.evaluate import WINDOW, Score, total
from tokexplore.models.training.recipe import Recipe
from tokexplore.models.training.samples import (
    LENGTH,
    TEMPERATURE,
    Sample,
    word_coverage,
    worst_repeat,
)


@dataclass(frozen=True)
class Facts:
    """All that the card says about one model."""

    name: str
    corpus: Corpus
    recipe: Recipe
    progress: Progress
    parameters: int
    scores: tuple[Score, ...]
    """Of the held-out books, by the weights as they are shipped."""
    samples: tuple[Sample, ...]


def write_card(facts: Facts) -> str:
    """The whole card in Markdown."""
    sections = (
        _HEAD,
        _description(facts),
        _measures(facts),
        _data(facts.corpus),
        _training(facts.recipe, facts.progress),
        _limits(),
        _samples(facts.samples),
    )
    return "\n\n".join(sections) + "\n"


_HEAD = """\
---
language: en
library_name: transformers
pipeline_tag: text-generation
license: mit
---"""


def _description(facts: Facts) -> str:
    recipe = facts.recipe
    wanted = "a model to start with"
    kind, forward = "Llama", f"feed-forward {recipe.feed_forward}"
    if recipe.experts:
        wanted = "a mixture of experts whose routing means something"
        kind = "Mixtral"
        forward = (
            f"{recipe.experts} experts of feed-forward {recipe.feed_forward} in each layer, of "
            f"which a token goes through {recipe.chosen}"
        )
    purpose = _prose(f"""
        A small language model of old children's books. It is there so that a token explorer has
        {wanted}: it loads in a moment, runs on any processor and keeps to the grammar of
        a tale, if not to its plot.""")
    shape = _prose(f"""
        {facts.parameters:,} parameters; {kind} architecture: {recipe.layers} layers of width
        {recipe.hidden}, {recipe.heads} heads, {forward}, the embedding
        shared with the output, {recipe.context:,} positions. Byte-level BPE of
        {recipe.vocabulary:,} tokens, which gives any text back byte for byte; `<s>` begins a text,
        `</s>` ends it. Weights in bfloat16.""")
    return f"# {facts.name} {facts.parameters / 1e6:.1f}M\n\n{purpose}\n\n{shape}"


def _measures(facts: Facts) -> str:
    rows = [(score.name, f"{score.size:,}", f"{score.bits_per_byte:.4f}") for score in facts.scores]
    if len(rows) > 1:
        every = total(facts.scores)
        rows.append(("**together**", f"{every.size:,}", f"**{every.bits_per_byte:.4f}**"))
    protocol = _prose(f"""
        The books in this table were kept from the model and from its tokenizer. Each is read once,
        from `<s>` to its last token, in windows of {WINDOW} tokens that share nothing; the figure
        is the negative log-likelihood in bits over the UTF-8 bytes. It is measured on the weights
        as they lie here, loaded as float32. The training loss of the last steps was
        {facts.progress.loss:.3f} nats per token.""")
    coverage = word_coverage(facts.samples, (book.text for book in facts.corpus.training))
    reading = _prose(f"""
        Of the words of the {len(facts.samples)} samples below, {coverage:.1%} occur in the training
        books. The run of four tokens that is repeated most comes {worst_repeat(facts.samples)}
        times within a sample of {LENGTH} tokens.""")
    table = _table(("held-out book", "bytes", "bits per byte"), rows)
    return f"## How good it is\n\n{table}\n\n{protocol}\n\n{reading}"


def _data(corpus: Corpus) -> str:
    books = sorted(corpus.training + corpus.held_out, key=lambda book: book.name)
    rows = [
        (
            book.title,
            "" if book.edition is None else str(book.edition),
            f"{book.size:,}",
            _use(book, corpus),
        )
        for book in books
    ]
    rights = _prose(f"""
        {len(corpus.training)} books of {sum(book.size for book in corpus.training):,} bytes to
        learn from. The text is in the public domain in the United States. Its words come from the
        Project Gutenberg editions of these numbers, with their headers, licences and headings taken
        out. The weights are under the licence of the program that they come with, MIT.""")
    table = _table(("title", "edition no.", "bytes", "used for"), rows)
    return f"## What it was made from\n\n{table}\n\n{rights}"


def _use(book: Book, corpus: Corpus) -> str:
    return "measuring" if book in corpus.held_out else "training"


def _training(recipe: Recipe, progress: Progress) -> str:
    experts = ""
    if recipe.experts:
        experts = f", the experts (their load balanced by a loss of weight {recipe.balance:g})"
    schedule = _prose(f"""
        {progress.step * recipe.batch:,} tokens in {progress.step:,} steps of {recipe.batch:,} and
        {progress.seconds / 60:.0f} minutes: windows of {recipe.window} tokens, in the last
        {recipe.long_share:.0%} of the steps of {recipe.context:,}. Muon at {recipe.matrix_rate:g}
        for the matrices of the layers, AdamW at {recipe.other_rate:g} for the embedding{experts}
        and the norms, weight decay {recipe.weight_decay:g}, gradients clipped at {recipe.clip:g},
        dropout
        {recipe.dropout:g} on all that enters the residual stream. In each epoch, of the proper
        names {recipe.renamed:.0%} are replaced by other names of the corpus, each by the same one
        for the length of a scene, so that names have to be read from the context;
        {recipe.warmup} steps of warm-up, then a plateau, then over the last
        {recipe.decay_share:.0%} of the steps a line down to zero. Seed {recipe.seed}. The code is
        `tokexplore.models.training`.""")
    changes = ", ".join(
        f"{tokens:,} from step {step:,} on" for step, tokens in progress.budgets[1:]
    )
    if changes:
        first = progress.budgets[0][1]
        schedule += (
            f" The budget, which sets the schedule, was {first:,} tokens at first, {changes}."
        )
    return f"## How it was trained\n\n{_prose(schedule)}"


def _limits() -> str:
    limits = _prose("""
        It knows nothing but these books: English as it was written for children between about 1840
        and 1920, with that time's views of people, peoples, women and animals, some of them
        hurtful. It follows no instructions, answers no questions, loses its thread after a few
        sentences, and says nothing that is to be relied on. Other languages, code and modern words
        reach it as loose bytes. It has read its books several times over and knows them better than
        it knows the language of others. It has seen no more positions than it declares.""")
    return f"## What it can't do\n\n{limits}"


def _samples(samples: Sequence[Sample]) -> str:
    introduction = _prose(f"""
        All {len(samples)} that were drawn, none left out: {LENGTH} tokens each at temperature
        {TEMPERATURE:g} with no other filter, after the opening in bold.""")
    quoted = [_quote(number, sample) for number, sample in enumerate(samples, 1)]
    return "\n\n".join(("## Samples", introduction, *quoted))


def _quote(number: int, sample: Sample) -> str:
    text = f"**{sample.opening}**{_escaped(sample.continuation)}"
    lines = [f"> {line}".rstrip() for line in text.split("\n")]
    return f"### {number}\n\n" + "\n>\n".join(lines)


def _escaped(text: str) -> str:
    return "".join(f"\\{sign}" if sign in "\\`*_<>[]#" else sign for sign in text)


def _prose(text: str) -> str:
    """Paragraphs wrap by their final text, whatever the numbers in them look like."""
    return textwrap.fill(" ".join(text.split()), 100, break_long_words=False)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = ["---"] * len(head)
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, rule, *rows))
