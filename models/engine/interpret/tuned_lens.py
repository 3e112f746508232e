"""Tuned lenses: a translator of each layer's state (Belrose et al., arXiv:2303.08112).

A directory of them, as the authors' program writes it, holds `config.json` and `params.pt`. The
translator of layer i, i < L, makes h + W h + b of the state h before layer i + 1; the last state is
read as it is.
"""

import pickle
import zipfile
from pathlib import Path

import msgspec
import torch

from tokexplore.models.catalog.pickles import pickled_header as torch_header
from tokexplore.models.errors import UsageError, reason_of

_CONFIG, _PARAMETERS = "config.json", "params.pt"
_KIND = "linear_tuned_lens"


class _Config(msgspec.Struct):
    """What is read of `config.json`."""

    d_model: int
    num_hidden_layers: int
    bias: bool = True
    lens_type: str = _KIND


class TunedLens:
    """The translators of one directory.

    Args:
        layers: L, of the model.
        size: H, of the model.

    Raises:
        UsageError: a directory that holds no tuned lens, or none of a model of this shape.
    """

    def __init__(self, directory: str, layers: int, size: int) -> None:
        folder = Path(directory).expanduser()
        config = _config(folder)
        if config.lens_type != _KIND:
            raise UsageError(
                f"{folder} holds a lens of the kind {config.lens_type[:100]}: only {_KIND} is read."
            )
        if (config.num_hidden_layers, config.d_model) != (layers, size):
            raise UsageError(
                f"{folder} holds a tuned lens for {config.num_hidden_layers} layers of width "
                f"{config.d_model}, this model has {layers} of width {size}: give one that was "
                "trained for it."
            )
        self._parameters = _parameters(folder, config)
        self._layers = layers

    def translated(self, states: torch.Tensor) -> torch.Tensor:
        """Translate states [layers + 1, k, H]; of the same shape and dtype."""
        read = [self._one(layer, states[layer]) for layer in range(self._layers)]
        return torch.stack([*read, states[-1]])

    def _one(self, layer: int, state: torch.Tensor) -> torch.Tensor:
        weight = self._parameters[f"{layer}.weight"].to(state.device, torch.float32)  # [H, H]
        h = state.float()  # [k, H]
        translated = h + h @ weight.T
        if (bias := self._parameters.get(f"{layer}.bias")) is not None:
            translated = translated + bias.to(state.device, torch.float32)
        return translated.to(state.dtype)


def _config(folder: Path) -> _Config:
    file = folder / _CONFIG
    try:
        return msgspec.json.decode(file.read_bytes(), type=_Config)
    except OSError as error:
        raise UsageError(_unreadable(file, error)) from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} is not that of a tuned lens: {error}.") from None


def _parameters(folder: Path, config: _Config) -> dict[str, torch.Tensor]:
    """The translators' parameters, in the memory of their file where it allows that."""
    file = folder / _PARAMETERS
    size = config.d_model
    expected = {f"{layer}.weight": [size, size] for layer in range(config.num_hidden_layers)}
    if config.bias:
        expected |= {f"{layer}.bias": [size] for layer in range(config.num_hidden_layers)}
    try:
        found = {name: header.shape for name, header in torch_header(file).items()}
        if found == expected:
            return dict(torch.load(file, "cpu", weights_only=True, mmap=zipfile.is_zipfile(file)))
    except OSError as error:
        raise UsageError(_unreadable(file, error)) from None
    except (ValueError, RuntimeError, pickle.UnpicklingError) as error:
        cause = str(error).partition(":")[0]
        raise UsageError(f"{file} {cause}: copy or download the tuned lens again.") from None
    wrong = next(name for name in found | expected if found.get(name) != expected.get(name))
    raise UsageError(
        f"{file} holds {wrong[:100]} {found.get(wrong, 'not at all')}, by its {_CONFIG} it is "
        f"{expected.get(wrong, 'no part')}: copy or download the tuned lens again."
    )


def _unreadable(file: Path, error: OSError) -> str:
    return (
        f"{file} cannot be read ({reason_of(error)}): a tuned lens is a directory with {_CONFIG} "
        f"and {_PARAMETERS}."
    )
