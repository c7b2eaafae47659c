"""Embeddings of more images than one process should embed: one resumable file a shard, read back as one dask array."""

from __future__ import annotations

import json
import multiprocessing
import os
import warnings
from collections.abc import Iterator
from copy import copy
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from torch.utils.data import Subset

from skal._core.restricted import tile_rows_of
from skal._files._atomic import write_atomically
from skal._install import hint_for_extra
from skal._warnings import warn_user
from skal.features._embedded import Embedded
from skal.features._sources import DatasetImages, open_images

__all__ = ["embed_in_shards", "open_shards"]

_FORMAT = "skal shards 1"
_LIST = "shards.json"


class _Shard(NamedTuple):
    valid_indices: npt.NDArray[np.int64]  # of its images
    paths: tuple[str, ...] | None
    warnings: list[str]


def embed_in_shards(
    extractor: Any,
    images: Any,
    folder: str | os.PathLike[str],
    *,
    images_per_shard: int = 65_536,
    version: str = "",
) -> Embedded:
    """Embed many images, a file for each shard of them; on a cluster, a task for each.

    Each shard is a file of `TorchFeatureExtractor.embed`, which goes on where it stopped. So the same call goes on
    after any end, of the driver or of workers, and images that come after the others are appended.

    Parameters
    ----------
    extractor : TorchFeatureExtractor
        Fitted, where its weights are random. Workers embed on their own device (``device="auto"``).
    images : list of paths, folder, array or torch Dataset
        As for `TorchFeatureExtractor.embed`; workers must see the files under the same paths.
    folder : path
        Made where there is none; workers must see it under the same path.
    images_per_shard : int, default=65536
    version : str, default=""
        As for `TorchFeatureExtractor.embed`.

    Returns
    -------
    Embedded
        `embeddings` is what `open_shards` returns; `valid_indices` and `paths` are those of all shards.

    Raises
    ------
    ImportError
        If dask is not installed.
    ValueError
        If the folder holds shards of another size, or for what `embed` raises.

    See Also
    --------
    open_shards : Opens what it wrote.
    TorchFeatureExtractor.embed : The same on one machine, into one file.

    Notes
    -----
    With a current `distributed.Client`, shards are tasks on its workers, each tried again twice; where workers were
    started with ``--resources "GPU=1"``, each task takes one GPU. Without, shards are embedded here, one after the
    other.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import torch
    >>> from skal.features import TorchFeatureExtractor, embed_in_shards
    >>> images = np.random.default_rng(0).integers(0, 256, size=(10, 16, 16, 3), dtype=np.uint8)
    >>> backbone = torch.nn.Sequential(torch.nn.AvgPool2d(8), torch.nn.Flatten())
    >>> extractor = TorchFeatureExtractor(backbone, image_transform="cifar10")
    >>> embed_in_shards(extractor, images, tempfile.mkdtemp(), images_per_shard=4)
    Embedded(10 rows of 12 float32)
    """
    _require_dask()
    if images_per_shard < 1:
        raise ValueError(f"images_per_shard must be at least 1; found {images_per_shard!r}.")
    folder, opened = Path(folder), open_images(images)
    folder.mkdir(parents=True, exist_ok=True)
    _write_list(folder, images_per_shard, len(opened))
    starts = range(0, len(opened), images_per_shard)
    parts = (_part_of(opened, start, start + images_per_shard) for start in starts)
    calls = ((extractor, part, path, version) for part, path in zip(parts, _shards_of(folder), strict=True))
    valid: list[npt.NDArray[np.int64]] = []
    paths: list[str] = []
    for start, shard in zip(starts, _run(calls), strict=True):
        valid.append(start + shard.valid_indices)
        paths += shard.paths or ()
        for message in shard.warnings:
            warn_user(message)
    return Embedded(open_shards(folder), np.concatenate(valid), None if opened.paths is None else tuple(paths))


def open_shards(folder: str | os.PathLike[str]) -> Any:
    """Open the embeddings of `embed_in_shards` as one dask array; nothing but the heads of the files is read.

    Parameters
    ----------
    folder : path

    Returns
    -------
    dask array of shape (n, d)
        In chunks that samplers take as they are, of one tile of a pass over all features (2²⁵ numbers), whatever the
        shards hold.

    Raises
    ------
    ImportError
        If dask is not installed.
    FileNotFoundError
        If the folder is none of `embed_in_shards`, or a shard is not finished yet (it is named).
    ValueError
        If shards do not fit together.

    See Also
    --------
    embed_in_shards : Writes the files.
    """
    _require_dask()
    import dask.array as da
    from dask.base import tokenize

    shards = _shards_of(Path(folder))
    heads = [np.load(path, mmap_mode="r") for path in shards if _is_finished(path)]
    first = heads[0]
    for path, head in zip(shards, heads, strict=True):
        if head.shape[1:] != first.shape[1:] or head.dtype != first.dtype:
            raise ValueError(
                f"{path} holds rows of {head.shape[1]} {head.dtype}, and {shards[0]} of {first.shape[1]} {first.dtype}."
            )
    n_rows, n_features = sum(len(head) for head in heads), first.shape[1]
    rows = tile_rows_of(n_features)
    borders = [*range(0, n_rows, rows), n_rows]
    chunks = [_stretches(shards, [len(head) for head in heads], start, stop) for start, stop in pairwise(borders)]
    name = "skal-shards-" + tokenize(shards, [(path.stat().st_mtime_ns, path.stat().st_size) for path in shards])
    graph = {(name, i, 0): (_read, stretches) for i, stretches in enumerate(chunks)}
    sizes = tuple(sum(stop - start for _, start, stop in stretches) for stretches in chunks)
    return da.Array(graph, name, chunks=(sizes, (n_features,)), dtype=first.dtype)


def _require_dask() -> None:
    try:
        import dask.array  # noqa: F401
    except ImportError as error:
        raise ImportError(f"Shards are read as a dask array: `{hint_for_extra('dask')}` brings dask.") from error


def _write_list(folder: Path, images_per_shard: int, n_images: int) -> None:
    path = folder / _LIST
    if path.exists():
        of_folder = _read_list(folder)["images_per_shard"]
        if of_folder != images_per_shard:
            raise ValueError(
                f"{folder} holds shards of {of_folder} images, not {images_per_shard}: pass "
                f"images_per_shard={of_folder}, or choose another folder."
            )
    content = {"format": _FORMAT, "images_per_shard": images_per_shard, "n_images": n_images}
    write_atomically(path, json.dumps(content, indent=2).encode())


def _read_list(folder: Path) -> dict[str, Any]:
    path = folder / _LIST
    if not path.exists():
        raise FileNotFoundError(f"{folder} holds no {_LIST}: it is no folder of embed_in_shards.")
    content: dict[str, Any] = json.loads(path.read_text())
    if content.get("format") != _FORMAT:
        raise ValueError(f"{path} is no list of shards: its format is {content.get('format')!r}, not {_FORMAT!r}.")
    return content


def _shards_of(folder: Path) -> list[Path]:
    content = _read_list(folder)
    n_shards = -(-content["n_images"] // content["images_per_shard"])
    return [folder / f"shard-{number:05d}.npy" for number in range(n_shards)]


def _is_finished(path: Path) -> bool:
    if not path.exists():
        raise FileNotFoundError(f"{path} is not there or not finished: run embed_in_shards again, which goes on there.")
    return True


def _part_of(images: Any, start: int, stop: int) -> Any:
    if isinstance(images, DatasetImages):
        return Subset(images.indexable, range(start, min(stop, len(images))))
    return images.indexable[start:stop]


def _run(calls: Iterator[tuple[Any, ...]]) -> Iterator[_Shard]:
    from skal._dask._executors import current_client

    client = current_client()
    if client is None:
        yield from (_embed_shard(*call) for call in calls)
        return
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    resources = {"GPU": 1} if any(worker["resources"].get("GPU") for worker in workers) else None
    futures = [client.submit(_embed_shard, *call, pure=False, retries=2, resources=resources) for call in calls]
    try:
        yield from (future.result() for future in futures)
    finally:
        client.cancel(futures)


def _embed_shard(extractor: Any, images: Any, path: Path, version: str) -> _Shard:
    if multiprocessing.current_process().daemon:  # as dask's workers are, which may not have processes of their own
        extractor = copy(extractor).set_params(num_workers=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        embedded = extractor.embed(images, path, version=version)
    return _Shard(embedded.valid_indices, embedded.paths, list(dict.fromkeys(str(each.message) for each in caught)))


def _stretches(shards: list[Path], n_rows: list[int], start: int, stop: int) -> list[tuple[str, int, int]]:
    """Which rows of which files make up a chunk."""
    stretches, first = [], 0
    for path, n in zip(shards, n_rows, strict=True):
        low, high = max(start - first, 0), min(stop - first, n)
        if low < high:
            stretches.append((str(path.absolute()), low, high))
        first += n
    return stretches


def _read(stretches: list[tuple[str, int, int]]) -> npt.NDArray[Any]:
    return np.concatenate([np.load(path, mmap_mode="r")[start:stop] for path, start, stop in stretches])
