"""Pairs -> decisions: groups and their keepers, the review's state, durable decisions, and what they teach."""

from dupkit.review.decisions import Decisions as Decisions
from dupkit.review.decisions import open_decisions as open_decisions
from dupkit.review.groups import group_pairs as group_pairs
from dupkit.review.keepers import KEEPER_RULES as KEEPER_RULES
from dupkit.review.state import ReviewState as ReviewState
