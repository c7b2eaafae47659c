"""What several people said of one image, made into one label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from skal.rounds import Answer, SetAside

__all__ = ["TOGETHER", "agreed_answer", "is_together", "latest_of_each", "voter_of"]

# At the end of the source of labels that were given to many images at once.
TOGETHER = ", many at once"


def is_together(given: Answer | SetAside) -> bool:
    """Whether it was said of many images at once."""
    return (given.source or "").endswith(TOGETHER)


def voter_of(given: Answer | SetAside) -> str:
    """Who gave a label; where nobody is named, what it came from."""
    return given.annotator or f"({(given.source or 'nobody named').removesuffix(TOGETHER)})"


def latest_of_each(standing: Iterable[Answer | SetAside]) -> dict[str, Answer | SetAside]:
    """Return what each person said last, those who spoke first coming first."""
    return {voter_of(given): given for given in standing}


def agreed_answer(standing: Iterable[Answer | SetAside]) -> Answer | SetAside | None:
    """Merge what stands for one image: most votes, a tie goes to the label given last.

    Each person has one vote, what they said last. Setting aside is no vote, and stands only where nobody gave a label.

    Parameters
    ----------
    standing : iterable of Answer and SetAside
        Oldest first.

    Returns
    -------
    Answer, SetAside or None
        The latest with the label that won.
    """
    given = list(standing)
    latest = latest_of_each(given)
    last_said = {id(each) for each in latest.values()}
    votes = [each for each in given if id(each) in last_said and isinstance(each, Answer)]
    if not votes:
        return given[-1] if given else None
    counts = Counter(vote.label for vote in votes)
    most = max(counts.values())
    return [vote for vote in votes if counts[vote.label] == most][-1]
