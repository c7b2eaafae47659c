"""What was learned of plain arrays, kept for the next fit on the same content."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable

from skal._core.restricted import Sketch
from skal._validation import working_memory_bytes

__all__ = ["SketchCache", "clear_cache", "sketches"]


class SketchCache:
    """Principal coordinates of the arrays that were fitted last; safe to share among threads.

    All entries together take at most a quarter of scikit-learn's ``working_memory``, as it is set at each use; the
    least recently used go first. Entries are known by content, so that the same fold of a grid search is found
    again, and an array that was changed in place is not mistaken for itself.
    """

    def __init__(self) -> None:
        self._entries: OrderedDict[tuple[Hashable, Hashable], Sketch] = OrderedDict()
        self._lock = threading.RLock()

    @property
    def n_bytes(self) -> int:
        """Bytes that are kept now."""
        with self._lock:
            return sum(sketch.n_bytes for sketch in self._entries.values())

    def holds_any(self, kind: Hashable) -> bool:
        """Say whether anything of a kind is kept, so that it is worth finding out the content first."""
        with self._lock:
            return any(known == kind for known, _ in self._entries)

    def get(self, kind: Hashable, content: Hashable, make: Callable[[], Sketch]) -> Sketch:
        """Return what is kept of that kind and content, or make it and keep it if it fits."""
        key = kind, content
        with self._lock:
            self._evict()
            if key in self._entries:
                self._entries.move_to_end(key)
                return self._entries[key]
        sketch = make()
        with self._lock:
            self._entries[key] = sketch
            self._evict()
        return sketch

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()

    def _evict(self) -> None:
        while self._entries and self.n_bytes > working_memory_bytes() // 4:
            self._entries.popitem(last=False)


sketches = SketchCache()


def clear_cache() -> None:
    """Free the memory that is kept between fits on the same plain array.

    What an opened `Pool` keeps is freed with the pool itself.

    See Also
    --------
    Pool : Keeps what passes learn, and frees it when the pool goes.

    Examples
    --------
    >>> import skal
    >>> skal.pool.clear_cache()
    """
    sketches.clear()
