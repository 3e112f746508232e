"""Put adapters on a model, unmerged: each adds to its layers' outputs and can be switched off.

peft itself puts its layers into the model and reads the weights; the model stays the object that it
was, so that passes, caches and instruments see no difference. transformers' own `load_adapter`
leaves the magnitudes of a DoRA as they were made.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file
from transformers import PreTrainedModel

from tokexplore.models.api.options import Adapter, LoadOptions
from tokexplore.models.api.provenance import AdapterInfo
from tokexplore.models.catalog.adapter import CONFIG, PREFIX, WEIGHTS, AdapterFiles
from tokexplore.models.catalog.bases import adapter_at, base_of, check_base
from tokexplore.models.catalog.catalog import describe_problems, locate
from tokexplore.models.catalog.hub_cache import offline
from tokexplore.models.catalog.located import Located
from tokexplore.models.engine.loading.download import download
from tokexplore.models.engine.loading.load_progress import Report
from tokexplore.models.errors import ModelError, UsageError

_SHOWN = 3


class Found(NamedTuple):
    """An adapter whose files are here."""

    name: str
    files: AdapterFiles
    info: AdapterInfo


def find_adapters(
    located: Located, options: LoadOptions, report: Report
) -> tuple[Located, tuple[Found, ...]]:
    """The model to load, of an adapter its base, and the adapters to put on it, all made for it.

    Raises:
        UsageError: two of one name, one of another base, and a model spread over devices.
        ModelError: files that are no adapter, and where peft is not installed.
    """
    own = adapter_at(located)
    names = [*([located.name] if own else []), *(each.name for each in options.adapters)]
    if not names:
        return located, ()
    if double := next((name for name in names if names.count(name) > 1), ""):
        raise UsageError(
            f"two adapters are called {double}: give one another name (--adapter NAME=DIR)."
        )
    if not find_spec("peft"):
        raise ModelError(
            f"{names[0]} is an adapter, which needs a package that is not installed: "
            "pip install peft (the extra tokexplore[peft])."
        )
    if options.device_map:
        raise UsageError(
            f"--device-map {options.device_map} spreads the model over devices, on which adapters "
            "are not put: leave it out, or merge the adapter into its base."
        )
    found = tuple(_found(adapter, report) for adapter in options.adapters)
    if own:
        found = (_checked(Adapter(located.name, located.source), own), *found)
    kinds = {each.files.kind for each in found}
    if len(kinds) > 1:
        raise UsageError(
            f"adapters of several kinds ({', '.join(sorted(kinds))}) cannot be active together: "
            "give those of one."
        )
    base = base_of(located)
    for each in found:
        check_base(each.name, each.files, base)
    return base, found


def inner_names(found: Sequence[Found]) -> dict[str, Found]:
    """What adapters are called inside the model: peft makes it a part of the names of modules,
    which may hold no dot."""
    return {f"adapter{number}": each for number, each in enumerate(found)}


def put_on(model: PreTrainedModel, found: Sequence[Found]) -> None:
    """Put adapters on a loaded model, all of them active.

    Raises:
        ModelError: weights that the model has no place for, of other shapes, or that are not there.
    """
    if not found:
        return
    from peft import PeftConfig, PeftModel
    from peft.utils.save_and_load import get_peft_model_state_dict

    peft_model: Any = None
    names = inner_names(found)
    for name, each in names.items():
        config = PeftConfig.from_pretrained(str(each.files.path))
        config.inference_mode = True
        try:
            if peft_model is None:
                peft_model = PeftModel(model, config, adapter_name=name)
            else:
                peft_model.add_adapter(name, config)
        except ValueError as error:  # no module of the model is one of its targets
            raise ModelError(
                f"{each.name} does not fit the model ({str(error).splitlines()[0].rstrip('.')})."
            ) from error
        places = get_peft_model_state_dict(
            peft_model, adapter_name=name, save_embedding_layers=False
        )
        _check_places(each, places, model)
        peft_model.load_adapter(str(each.files.path), name, is_trainable=False)
    peft_model.base_model.set_adapter(list(names))
    model.requires_grad_(False).eval()


def _found(adapter: Adapter, report: Report) -> Found:
    located = locate(adapter.source)
    if located.path is None or (located.origin == "hub" and not _whole(located) and not offline()):
        path = download(located, report, trust_remote_code=False)
        located = Located(located.name, located.source, "hub", path, path.name)
    files = adapter_at(located)
    if files is None:
        raise UsageError(
            f"{adapter.source} is no adapter (it has no {CONFIG}): give a directory as peft saves "
            "it."
        )
    return _checked(adapter, files)


def _checked(adapter: Adapter, files: AdapterFiles) -> Found:
    if files.problems:
        raise ModelError(describe_problems(adapter.name, files.problems))
    return Found(adapter.name, files, files.info(adapter))


def _whole(located: Located) -> bool:
    files = adapter_at(located)
    return files is not None and not files.problems


def _check_places(found: Found, places: dict[str, torch.Tensor], model: PreTrainedModel) -> None:
    """Refuse what does not fit tensor by tensor; peft leaves out, or keeps at random, what it finds
    no place for."""
    held, name = found.files.tensors, found.name
    wrong = [key for key in held if key in places and held[key].shape != [*places[key].shape]]
    if wrong:
        shape, wanted = held[wrong[0]].shape, places[wrong[0]].shape
        raise ModelError(
            f"{name} has {len(wrong)} tensors of another shape than this model needs ({wrong[0]} "
            f"is {_by(shape)} and should be {_by(wanted)}): it was made for another base."
        )
    if missing := [key for key in places if key not in held]:
        raise ModelError(
            f"{name} lacks {len(missing)} of the tensors that its {CONFIG} asks for "
            f"({_some(missing)}): its files do not belong together."
        )
    beside = [key for key in held if key not in places]
    if beside and (changed := _changed(found, beside, model)):
        raise ModelError(
            f"{name} has {len(changed)} tensors that this model has no place for, or weights of "
            f"its base that it changes itself ({_some(changed)}): it was made for another base, or "
            "has to be merged into its own."
        )


def _changed(found: Found, keys: Sequence[str], model: PreTrainedModel) -> list[str]:
    """Those that are not the model's own weights: peft saves embeddings that it adapts beside
    what it adds to them."""
    weights = load_file(found.files.path / WEIGHTS)
    own = dict(model.named_parameters())

    def same(key: str) -> bool:
        mine = own.get(key.removeprefix(PREFIX))
        if mine is None or mine.shape != weights[key].shape:
            return False
        return torch.equal(mine.detach().cpu(), weights[key].to(mine.dtype))

    return [key for key in keys if not same(key)]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


def _by(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
