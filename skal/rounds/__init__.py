"""Rounds: the ledger that keeps what was asked and answered."""

from skal.rounds._ledger import Ledger
from skal.rounds._records import Answer, Round, SetAside, Unread

__all__ = ["Answer", "Ledger", "Round", "SetAside", "Unread"]
