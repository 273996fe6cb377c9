"""NumPy views of torch tensors."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from gfn_envs.arrays import FloatArray


class Views:
    """NumPy views of tensors, by name, cached while the tensors stay in place.

    Creating them takes longer than a small matrix product. Copies start empty, because their tensors are elsewhere.
    """

    def __init__(self) -> None:
        self.known: dict[str, tuple[list[int], tuple[FloatArray, ...]]] = {}

    def __reduce__(self) -> tuple[type[Views], tuple[()]]:
        return Views, ()

    def of(self, name: str, tensors: Iterable[Tensor], flat: bool = False) -> tuple[FloatArray, ...]:
        """The arrays of the tensors with that name, in their shapes or ``flat``."""
        tensors = tuple(tensors)
        place = [t.data_ptr() for t in tensors]
        if name not in self.known or self.known[name][0] != place:
            arrays = (t.detach().numpy() for t in tensors)
            self.known[name] = place, tuple(a.reshape(-1) if flat else a for a in arrays)
        return self.known[name][1]
