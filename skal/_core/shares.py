"""How a budget is divided over groups of rows, and which members of a cluster get it."""

from __future__ import annotations

import heapq

import numpy as np

__all__ = ["equal_members", "equal_shares", "nearest_members", "uncovered_members"]


def equal_shares(n_available: np.ndarray, n_taken: np.ndarray, n_members: np.ndarray, budget: int) -> np.ndarray:
    """Divide `budget` new picks over groups so that their totals become as equal as their rows allow.

    The rule: every group rises to the same total, picks it already has included; a group that runs
    short leaves its share to those with rows left; the remainder goes one each to the groups with
    the most members, ties to the lowest index.

    Parameters
    ----------
    n_available : int ndarray of shape (n_groups,)
        Rows that can still be picked.
    n_taken : int ndarray of shape (n_groups,)
        Rows that are labelled already.
    n_members : int ndarray of shape (n_groups,)
        The size that decides who gets the remainder.
    budget : int
        At most ``n_available.sum()``.

    Returns
    -------
    int64 ndarray of shape (n_groups,)
        New picks of each group; sums to `budget`.
    """

    def shares_at(level: int) -> np.ndarray:
        return np.asarray(np.clip(level - n_taken, 0, n_available))

    low, high = 0, int((n_taken + n_available).max(initial=0)) + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if shares_at(middle).sum() <= budget else (low, middle)
    shares = shares_at(low).astype(np.int64)
    can_rise = np.flatnonzero(shares_at(low + 1) > shares)
    largest_first = can_rise[np.argsort(-n_members[can_rise], kind="stable")]
    shares[largest_first[: budget - int(shares.sum())]] += 1
    return shares


def nearest_members(
    labels: np.ndarray, sq_dist: np.ndarray, is_candidate: np.ndarray, n_clusters: int, budget: int
) -> np.ndarray:
    """Pick in each cluster the candidate nearest to its center, largest cluster first.

    A pick that its cluster cannot use (it is empty, or all its members are labelled) goes to the
    cluster with the highest inertia per pick it has, then the most candidates per pick, then the
    lowest index, which takes its next nearest candidate. Those picks come last. Ties between rows
    go to the lowest row.

    Parameters
    ----------
    labels : int ndarray of shape (n,)
        Cluster of each row.
    sq_dist : float ndarray of shape (n,)
        Squared distance of each row to the center of its cluster.
    is_candidate : bool ndarray of shape (n,)
        At least `budget` of them are True.
    n_clusters : int
    budget : int
        Picks to give; with fewer than `n_clusters`, the largest clusters get them.

    Returns
    -------
    int64 ndarray of shape (budget,)
        Distinct candidate rows. O(n log n) time, O(n) memory.
    """
    candidates = np.flatnonzero(is_candidate)
    narrow = labels[candidates].astype(np.min_scalar_type(n_clusters))  # which NumPy sorts by their digits
    by_cluster_then_distance = np.lexsort((sq_dist[candidates], narrow))
    ranked = candidates[by_cluster_then_distance]
    n_candidates = np.bincount(labels[candidates], minlength=n_clusters)
    first_of = np.concatenate(([0], np.cumsum(n_candidates)[:-1]))
    sizes = np.bincount(labels, minlength=n_clusters)
    largest_first = np.argsort(-sizes, kind="stable")
    with_candidate = largest_first[n_candidates[largest_first] > 0]
    picks = ranked[first_of[with_candidate]].tolist()
    n_extra = budget - len(picks)
    if n_extra <= 0:
        return np.array(picks[:budget], dtype=np.int64)

    inertia = np.bincount(labels, weights=sq_dist.astype(np.float64), minlength=n_clusters)

    def need(cluster: int, n_picks: int) -> tuple[float, float, int, int]:
        return (-inertia[cluster] / n_picks, -n_candidates[cluster] / n_picks, cluster, n_picks)

    queue = [need(cluster, 1) for cluster in with_candidate.tolist() if n_candidates[cluster] > 1]
    heapq.heapify(queue)
    for _ in range(n_extra):
        *_, cluster, n_picks = heapq.heappop(queue)
        picks.append(int(ranked[first_of[cluster] + n_picks]))
        if n_picks + 1 < n_candidates[cluster]:
            heapq.heappush(queue, need(cluster, n_picks + 1))
    return np.array(picks, dtype=np.int64)


def uncovered_members(
    labels: np.ndarray,
    sq_dist: np.ndarray,
    is_candidate: np.ndarray,
    is_covered: np.ndarray,
    n_clusters: int,
    budget: int,
) -> np.ndarray:
    """Pick as `nearest_members` does, from clusters that are not covered as long as these have candidates.

    Parameters
    ----------
    labels, sq_dist, is_candidate, n_clusters, budget
        As for `nearest_members`.
    is_covered : bool ndarray of shape (n_clusters,)

    Returns
    -------
    int64 ndarray of shape (budget,)
        Distinct candidate rows, those of covered clusters last.
    """
    is_open = is_candidate & ~is_covered[labels]
    n_open = min(budget, int(is_open.sum()))
    parts = []
    if n_open:
        parts.append(nearest_members(labels, sq_dist, is_open, n_clusters, n_open))
    if n_open < budget:
        rest = is_candidate & ~is_open
        parts.append(nearest_members(labels, sq_dist, rest, n_clusters, budget - n_open))
    return np.concatenate(parts)


def equal_members(
    labels: np.ndarray, sq_dist: np.ndarray, is_candidate: np.ndarray, n_clusters: int, budget: int
) -> np.ndarray:
    """Pick from each cluster the share that `equal_shares` gives it, nearest to the center first.

    Rows that are no candidates count as taken. The nearest row of each cluster comes first, largest
    cluster first, then the second of each, and so on. Ties between rows go to the lowest row.

    Parameters
    ----------
    labels : int ndarray of shape (n,)
        Cluster of each row.
    sq_dist : float ndarray of shape (n,)
        Squared distance of each row to the center of its cluster.
    is_candidate : bool ndarray of shape (n,)
        At least `budget` of them are True.
    n_clusters : int
    budget : int

    Returns
    -------
    int64 ndarray of shape (budget,)
        Distinct candidate rows. O(n log n) time, O(n) memory.
    """
    sizes = np.bincount(labels, minlength=n_clusters)
    n_candidates = np.bincount(labels[is_candidate], minlength=n_clusters)
    shares = equal_shares(n_candidates, sizes - n_candidates, sizes, budget)
    candidates = np.flatnonzero(is_candidate)
    ranked = candidates[np.lexsort((sq_dist[candidates], labels[candidates]))]
    first_of = np.cumsum(n_candidates) - n_candidates
    rank_in_cluster = np.arange(len(ranked)) - np.repeat(first_of, n_candidates)
    is_picked = rank_in_cluster < shares[labels[ranked]]
    picks, rank = ranked[is_picked], rank_in_cluster[is_picked]
    by_rank: np.ndarray = picks[np.lexsort((labels[picks], -sizes[labels[picks]], rank))]
    return by_rank
