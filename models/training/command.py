"""The command line of the recipe: `FOLDER --out DIR` trains, `evaluate DIR FILE...` measures."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from transformers import PreTrainedModel

from tokexplore.models.errors import TokexploreError
from tokexplore.models.training.checkpoint import Progress
from tokexplore.models.training.corpus import Epochs, read_book, read_corpus
from tokexplore.models.training.evaluate import Score, load, score_books, total
from tokexplore.models.training.publish import publish
from tokexplore.models.training.recipe import Recipe, sparse_recipe
from tokexplore.models.training.tokenizer import train_tokenizer
from tokexplore.models.training.train import Run, train

PROGRAM = "python -m tokexplore.models.training"


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit code."""
    try:
        if arguments and arguments[0] == "evaluate":
            return _evaluate(_evaluate_parser().parse_args(arguments[1:]))
        return _train(_train_parser().parse_args(arguments))
    except TokexploreError as error:
        print(error, file=sys.stderr)
        return error.exit_code


def _train_parser() -> argparse.ArgumentParser:
    defaults = Recipe()
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Train a small language model on a folder of plain text.",
        epilog=f"{PROGRAM} evaluate DIR FILE... measures a model directory on text files.",
    )
    add = parser.add_argument
    add("folder", type=Path, help="the folder of .txt files, one book each")
    add("--out", type=Path, required=True, help="the model directory to write")
    add("--name", default="fable", help="the model's name on its card (%(default)s)")
    add("--hold-out", nargs="*", default=[], metavar="FILE", help="files to be measured on only")
    add("--checkpoint", type=Path, help="the checkpoint file (OUT with .checkpoint appended)")
    add("--resume", action="store_true", help="go on from the checkpoint, if there is one")
    add("--tokens", type=int, default=defaults.tokens, help="tokens to see (%(default)s)")
    add("--experts", type=int, default=0, help="make a smaller model with so many experts")
    add("--seed", type=int, default=defaults.seed, help="seed of everything random (%(default)s)")
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="(%(default)s)")
    add("--bf16", action="store_true", help="multiply matrices in bfloat16")
    add("--compile", action="store_true", help="compile the model first (needs a C++ compiler)")
    add("--save-every", type=int, default=250, metavar="STEPS", help="(%(default)s)")
    add("--report-every", type=int, default=1000, metavar="STEPS", help="(%(default)s)")
    add("--stop-after", type=int, metavar="STEP", help="leave here, to --resume later")
    return parser


def _evaluate_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"{PROGRAM} evaluate", description="Bits per byte of a model directory on text files."
    )
    parser.add_argument("model", type=Path, help="a Hugging Face model directory")
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="UTF-8 text")
    return parser


def _evaluate(options: argparse.Namespace) -> int:
    books = [read_book(path) for path in options.files]
    scores = score_books(*load(options.model), books)
    for score in (*scores, total(scores)):
        print(f"{score.bits_per_byte:.4f}  {score.name}")
    return 0


def _train(options: argparse.Namespace) -> int:
    corpus = read_corpus(options.folder, options.hold_out)
    base = sparse_recipe(options.experts) if options.experts else Recipe()
    recipe = replace(base, tokens=options.tokens, seed=options.seed)
    run = Run(
        checkpoint=options.checkpoint or options.out.with_suffix(".checkpoint"),
        resume=options.resume,
        device=options.device,
        bf16=options.bf16,
        compiled=options.compile,
        save_every=options.save_every,
        report_every=options.report_every,
        stop_after=options.stop_after,
    )
    texts = (book.text for book in corpus.training)
    tokenizer = train_tokenizer(texts, recipe.vocabulary, recipe.context)
    epochs = Epochs(tokenizer, corpus.training, recipe.renamed, recipe.seed)
    print(
        f"{len(corpus.training)} books, {len(epochs.plain):,} tokens; {recipe.steps:,} steps",
        flush=True,
    )

    def report(progress: Progress, model: PreTrainedModel) -> None:
        scores = score_books(model.eval(), tokenizer, corpus.held_out)
        print(_progress_line(progress, recipe, scores), flush=True)

    model, progress = train(recipe, run, tokenizer, epochs, report)
    if progress.step < recipe.steps:
        return 0
    facts = publish(options.out, options.name, corpus, recipe, progress, model, tokenizer)
    print(_progress_line(progress, recipe, facts.scores))
    return 0


def _progress_line(progress: Progress, recipe: Recipe, scores: Sequence[Score]) -> str:
    line = (
        f"step {progress.step:,}  {progress.step * recipe.batch:,} tokens  "
        f"{progress.seconds / 60:.1f} min  loss {progress.loss:.4f}"
    )
    if scores:
        line += f"  held out {total(scores).bits_per_byte:.4f} bits per byte"
    return line
