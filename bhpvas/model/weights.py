"""Weights that stand in for a classifier's own: what recovery changes, as a value and as a file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from bhpvas.errors import ModelError
from bhpvas.storage.files import not_written, write_beside

if TYPE_CHECKING:
    from torch import Tensor

_FORMAT = "bhpvas-weights"
# Far beyond any model; the product of two weights, squared as a norm does, is still a float32.
_LARGEST = 1e9


@dataclass(frozen=True, eq=False)
class Weights:
    """Changed tensors by their names in the model: float32, on the CPU, in their full shape.

    A tensor that is not named is the model's own. Where a head is removed, its columns of the
    output projection are zero. Compared by content.

    >>> import torch
    >>> one = Weights({"classifier.bias": torch.zeros(2)})
    >>> one == Weights({"classifier.bias": torch.zeros(2)}), len(one.fingerprint)
    (True, 16)
    """

    tensors: Mapping[str, Tensor]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Weights) and self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    @cached_property
    def hashes(self) -> dict[str, str]:
        """A hash of each tensor's shape and numbers, by its name in alphabetical order."""
        return {name: _hash(self.tensors[name]) for name in sorted(self.tensors)}

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the whole content; the name of its file."""
        return hashlib.sha256(repr(self.hashes).encode()).hexdigest()[:16]

    def file(self, folder: str | Path) -> Path:
        """Where these weights lie in a folder."""
        return weights_file(folder, self.fingerprint)

    def save(self, folder: str | Path) -> Path:
        """Write :meth:`file`: beside it first, then renamed, so never half a file.

        Raises :class:`ModelError` where that is not possible.
        """
        from safetensors.torch import save

        tensors = {name: tensor.contiguous() for name, tensor in self.tensors.items()}
        path = self.file(folder)
        try:
            write_beside(path, save(tensors, {"format": _FORMAT}))
        except OSError as error:
            raise ModelError(not_written(f"The weights {path.name}", path.parent, error)) from None
        return path


def _hash(tensor: Tensor) -> str:
    digest = hashlib.sha256(str(tuple(tensor.shape)).encode())
    digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()[:16]


def weights_file(folder: str | Path, fingerprint: str) -> Path:
    """The safetensors file named by a hash."""
    return Path(folder) / f"{fingerprint}.safetensors"


def load_weights(path: str | Path) -> Weights:
    """Read what :meth:`Weights.save` wrote.

    Raises :class:`ModelError` where the file is missing, is no such file, or does not hold what its
    name says.
    """
    import torch
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    damaged = f"The weights {path} are not those that a scheme refers to"
    try:
        with safe_open(path, framework="pt") as file:
            if (file.metadata() or {}).get("format") != _FORMAT:
                raise ModelError(f"{damaged}: save the scheme again.")
            found = Weights({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    except OSError as error:
        raise ModelError(
            f"The weights {path} cannot be read ({error.strerror or 'no such file'}): they stand "
            "beside the scheme file and must be copied with it."
        ) from None
    except SafetensorError:
        raise ModelError(f"{damaged}: save the scheme again.") from None
    if any(tensor.dtype != torch.float32 for tensor in found.tensors.values()):
        raise ModelError(f"{damaged}: save the scheme again.")
    if found.file(path.parent).name != path.name:
        raise ModelError(
            f"{damaged}, since the content does not match the name: copy them again, or recover "
            "anew."
        )
    for tensor in found.tensors.values():
        if fault := unusable(tensor):
            raise ModelError(f"The weights {path} hold numbers that are {fault}: recover anew.")
    return found


def unusable(tensor: Tensor) -> str:
    """What keeps a tensor's numbers from being calculated with; empty for those of any model."""
    if not tensor.isfinite().all():
        return "not finite"
    return "" if (tensor.abs() <= _LARGEST).all() else f"larger than {_LARGEST:g}"
