"""Pools in chunks of a dask array: the verbs of `skal._core.blocks`, in this process or on a cluster."""
