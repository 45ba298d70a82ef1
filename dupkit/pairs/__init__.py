"""Histograms -> candidate pairs: every pair below a distance, the counts of all distances, and a second opinion."""

from dupkit.pairs.confirmed import confirmed_pairs as confirmed_pairs
from dupkit.pairs.counts import rms_counts as rms_counts
from dupkit.pairs.describe import describe_pairs as describe_pairs
from dupkit.pairs.distance import pair_distances as pair_distances
from dupkit.pairs.join import candidate_pairs as candidate_pairs
from dupkit.pairs.measures import MEASURES as MEASURES
from dupkit.pairs.measures import Measure as Measure
from dupkit.pairs.nearest import nearest_neighbours as nearest_neighbours
from dupkit.pairs.propose import propose_pairs as propose_pairs
from dupkit.pairs.transform import Alignment as Alignment
from dupkit.pairs.transform import align as align
from dupkit.pairs.verdict import SAME_VERDICTS as SAME_VERDICTS
from dupkit.pairs.verdict import VERDICTS as VERDICTS
