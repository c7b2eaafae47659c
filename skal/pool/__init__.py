"""One opened pool of embeddings, shared by all that works on it."""

from skal._core.graph import Neighbors
from skal.pool._cache import clear_cache
from skal.pool._frame import Frame
from skal.pool._pool import Pool, open_pool
from skal.pool._view import PoolView

__all__ = ["Frame", "Neighbors", "Pool", "PoolView", "clear_cache", "open_pool"]
