"""Output projections that stand in for a classifier's own: what recovery changes, as a value."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from bhpvas.errors import ModelError
from bhpvas.files import write_beside

if TYPE_CHECKING:
    from torch import Tensor

_FORMAT = "bhpvas-projections"


@dataclass(frozen=True, eq=False)
class Projection:
    """One layer's output projection: W_O ``[D, H·d_h]`` and its bias ``[D]``, float32 on the CPU.

    The columns of removed heads are zero.
    """

    weight: Tensor
    bias: Tensor

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the numbers."""
        digest = hashlib.sha256()
        for tensor in (self.weight, self.bias):
            digest.update(str(tuple(tensor.shape)).encode())
            digest.update(tensor.contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]


@dataclass(frozen=True, eq=False)
class Projections:
    """Output projections by layer; a layer that is not named keeps its own. Compared by content.

    >>> import torch
    >>> one = Projections({1: Projection(torch.eye(2), torch.zeros(2))})
    >>> one == Projections({1: Projection(torch.eye(2), torch.zeros(2))}), one.below(1)
    (True, ())
    """

    layers: Mapping[int, Projection]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Projections) and self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def below(self, layer: int) -> tuple[tuple[int, str], ...]:
        """What identifies the projections below a layer, as a dictionary key."""
        return tuple(
            (number, self.layers[number].fingerprint)
            for number in sorted(self.layers)
            if number < layer
        )

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the whole content; the name of its file."""
        content = self.below(max(self.layers, default=0) + 1)
        return hashlib.sha256(repr(content).encode()).hexdigest()[:16]

    def file(self, folder: str | Path) -> Path:
        """Where these projections lie in a folder."""
        return weights_file(folder, self.fingerprint)

    def save(self, folder: str | Path) -> Path:
        """Write :meth:`file`: beside it first, then renamed, so never half a file.

        Raises :class:`ModelError` where that is not possible.
        """
        from safetensors.torch import save

        tensors = {}
        for number, projection in self.layers.items():
            tensors[f"{number}.weight"] = projection.weight.contiguous()
            tensors[f"{number}.bias"] = projection.bias.contiguous()
        path = self.file(folder)
        try:
            write_beside(path, save(tensors, {"format": _FORMAT}))
        except OSError as error:
            raise ModelError(
                f"The weights {path.name} cannot be written to {path.parent} ({error.strerror}): "
                "choose a folder that exists and that you may write to."
            ) from None
        return path


def weights_file(folder: str | Path, fingerprint: str) -> Path:
    """The safetensors file named by a hash."""
    return Path(folder) / f"{fingerprint}.safetensors"


def load_projections(path: str | Path) -> Projections:
    """Read what :meth:`Projections.save` wrote.

    Raises :class:`ModelError` where the file is missing, is no such file, or does not hold what its
    name says.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    damaged = f"The weights {path} are not those that a scheme refers to"
    try:
        with safe_open(path, framework="pt") as file:
            if (file.metadata() or {}).get("format") != _FORMAT:
                raise ModelError(f"{damaged}: save the scheme again.")
            names = set(file.keys())
            numbers = sorted({int(name.partition(".")[0]) for name in names})
            found = Projections(
                {
                    number: Projection(
                        file.get_tensor(f"{number}.weight"), file.get_tensor(f"{number}.bias")
                    )
                    for number in numbers
                }
            )
    except OSError as error:
        raise ModelError(
            f"The weights {path} cannot be read ({error.strerror or 'no such file'}): they stand "
            "beside the scheme file and must be copied with it."
        ) from None
    except (SafetensorError, ValueError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"{damaged}: save the scheme again.") from None
    if found.file(path.parent).name != path.name:
        raise ModelError(f"{damaged}: the content does not match the name.")
    return found
