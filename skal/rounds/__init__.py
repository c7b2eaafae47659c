"""Rounds: pick, ask for the labels, pick again; and the ledger that keeps what was asked and answered."""

from skal.rounds._iterative import IterativeSampler
from skal.rounds._ledger import Ledger
from skal.rounds._multi_kmeans import MultiKMeansSampler
from skal.rounds._records import Answer, Round, SetAside, Unread

__all__ = ["Answer", "IterativeSampler", "Ledger", "MultiKMeansSampler", "Round", "SetAside", "Unread"]
