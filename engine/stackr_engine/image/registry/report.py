"""News of layers on their way, for whoever shows them."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LayerNews:
    """How far one layer is."""

    digest: str
    text: str
    current: int = 0
    total: int = 0
    """Bytes, where there is something to count."""
    is_done: bool = False

    @property
    def layer(self) -> str:
        """The twelve digits that people know a layer by."""
        return self.digest[7:19]


Report = Callable[[LayerNews], None]
