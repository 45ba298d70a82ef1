"""The slow, obviously right answers that the fast paths are held against; imports nothing from dupkit."""

from __future__ import annotations

import itertools
import math

from PIL import Image


def script_histogram(path) -> list[int]:
    """The original script's histogram of a file: RGB, 800 x 600 by LANCZOS, Pillow's 768 bins."""
    with Image.open(path) as image:
        return image.convert("RGB").resize((800, 600), Image.Resampling.LANCZOS).histogram()


def fast_histogram(path) -> list[int]:
    """The histogram of fast sampling: 30,000 pixels, columns picked and rows interpolated, halved before."""
    with Image.open(path) as image:
        image.draft("RGB", (200, 150))
        rgb = image.convert("RGB")
    across = down = 1
    while rgb.width // across >= 400:
        across *= 2
    while rgb.height // down >= 300:
        down *= 2
    small = rgb.reduce((across, down))
    columns = [
        small.crop((x, 0, x + 1, small.height)) for x in (int((i + 0.5) * small.width / 200) for i in range(200))
    ]
    picked = Image.new("RGB", (200, small.height))
    for x, column in enumerate(columns):
        picked.paste(column, (x, 0))
    return picked.resize((200, 150), Image.Resampling.BILINEAR).histogram()


def script_rms(a, b) -> float:
    """The original script's distance of two histograms, summed without rounding error."""
    return math.sqrt(math.fsum((x - y) ** 2 for x, y in zip(a, b, strict=True)) / len(a))


def pairs_below(histograms: dict, threshold: float) -> dict:
    """Every pair of names whose distance is below a threshold, with the distance; names of a pair sorted."""
    found = {}
    for (name_a, a), (name_b, b) in itertools.combinations(sorted(histograms.items()), 2):
        rms = script_rms(a, b)
        if rms < threshold:
            found[name_a, name_b] = rms
    return found


def groups_below(pairs, threshold):
    """Return the groups of (a, b, rms) pairs with rms below a threshold, as a sorted list of sorted lists."""
    groups = []
    for a, b, rms in pairs:
        if rms < threshold:
            joined = {a, b}
            apart = []
            for group in groups:
                if group & joined:
                    joined |= group
                else:
                    apart.append(group)
            groups = [*apart, joined]
    return sorted(sorted(group) for group in groups)


def counts_below(pairs, threshold, rank, size_bytes, reference):
    """Return pairs, groups, files that would move and their bytes below a threshold, by looking at each group."""
    groups = groups_below(pairs, threshold)
    moving = []
    for group in groups:
        keeper = min(group, key=lambda image: rank[image])
        moving += [image for image in group if image != keeper and not reference[image]]
    return {
        "n_pairs": sum(rms < threshold for _, _, rms in pairs),
        "n_groups": len(groups),
        "n_files": len(moving),
        "n_bytes": sum(size_bytes[image] for image in moving),
    }


def falling_fit(values, weights):
    """Return the least-squares values that do not rise, by pooling neighbours that do until none is left."""
    blocks = []
    for value, weight in zip(values, weights, strict=True):
        blocks.append([value, weight, 1])
        while len(blocks) > 1 and blocks[-2][0] < blocks[-1][0]:
            value_b, weight_b, n_b = blocks.pop()
            value_a, weight_a, n_a = blocks.pop()
            both = weight_a + weight_b
            blocks.append([(value_a * weight_a + value_b * weight_b) / both, both, n_a + n_b])
    return [value for value, _, n in blocks for _ in range(n)]


def standing_decision(decisions, root, files_here, pair):
    """Return what stands for a pair of files after decisions (root, pair, word), in order; a file is (path, content).

    Its own latest decision, unless somebody said later that the two contents are different pictures; who said so can
    take it back. Where both files have the same content, a rejection stays with the two while both are here, and
    overrules no decision of the pair's own.
    """
    contents = sorted(content for _, content in pair)
    own, own_at = "", -1
    said, said_at, said_by = "", -1, None
    for at, (where, files, word) in enumerate(decisions):
        is_here = where == root and all(file in files_here for file in files)
        if is_here and set(files) == set(pair):
            own, own_at = ("" if word == "undone" else word), at
        if sorted(content for _, content in files) != contents or word == "skipped":
            continue
        if is_here and contents[0] == contents[1]:
            continue
        if word != "undone" or said_by == (where, set(files)):
            said, said_at, said_by = word, at, (where, set(files))
    if said == "rejected" and said_at > own_at and not (contents[0] == contents[1] and own):
        return "rejected"
    return own


def pairwise_sum(terms):
    """Sum 768 numbers in the order that dupkit states: eight runs of 96, eight running sums in each, then by pairs."""
    if len(terms) > 128:
        half = len(terms) // 2
        return pairwise_sum(terms[:half]) + pairwise_sum(terms[half:])
    sums = [float(term) for term in terms[:8]]
    for k in range(8, len(terms), 8):
        for lane in range(8):
            sums[lane] += float(terms[k + lane])
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]))


def row_rms(a, b):
    """The distance of two rows of 768 numbers, to the bit."""
    differences = [float(x) - float(y) for x, y in zip(a, b, strict=True)]
    # Not ** 2: that is C's pow, which may be off by a last bit.
    return math.sqrt(pairwise_sum([difference * difference for difference in differences]) / 768)


def hellinger_row(row):
    """Square roots of 768 bins, each channel smoothed by a Gaussian of sigma 2 over 8 bins to each side, reflected."""
    weights = [math.exp(-(k**2) / 8) for k in range(-8, 9)]
    smooth = []
    for channel in range(3):
        bins = [float(x) for x in row[256 * channel : 256 * channel + 256]]
        padded = bins[:8][::-1] + bins + bins[-8:][::-1]
        for k in range(256):
            smooth.append(sum(w * x for w, x in zip(weights, padded[k : k + 17], strict=True)) / sum(weights))
    return [math.sqrt(x) for x in smooth]


def all_distances(rows):
    """Every pair (a, b) of names, a < b, with the distance of their rows; rows is a dict of name to 768 numbers."""
    names = sorted(rows)
    return {(a, b): row_rms(rows[a], rows[b]) for a, b in itertools.combinations(names, 2)}


def closest_pairs(distances, max_rms, max_pairs, old=()):
    """Return the sorted (rms, a, b) below max_rms, or below the max_pairs-th smallest of them, and that bound."""
    old = set(old)
    found = sorted((rms, a, b) for (a, b), rms in distances.items() if rms < max_rms and not {a, b} <= old)
    if len(found) <= max_pairs:
        return found, max_rms
    bound = found[max_pairs - 1][0]
    return [pair for pair in found if pair[0] < bound], bound


def picture_agreement(first, second, spoilt=0):
    """How well two pictures of 32 x 32 grey levels agree, 0 to 1: the mean of three answers, pixel by pixel."""
    a, b = ([float(level) for row in picture for level in row] for picture in (first, second))
    pixels = range(32 * 32)
    kept = set(pixels)
    for last in (False, False, True):
        (mean_a, gain_a), (mean_b, gain_b) = moments(a, kept), moments(b, kept)
        apart = [abs((a[p] - mean_a) / gain_a - (b[p] - mean_b) / gain_b) for p in pixels]
        if not last:
            bound = sorted(apart[p] for p in range(0, 1024, 7))[round(0.8 * 147) - 1]
            kept = {p for p in pixels if apart[p] <= bound}
    share = sum(distance < 0.25 for distance in apart) / len(apart)
    detail_a, detail_b = picture_detail(first), picture_detail(second)
    if min(sum(x * x for row in d for x in row) for d in (detail_a, detail_b)) < 0.75**2 * 1024:
        return math.nan
    blocks = []
    for top, left in itertools.product(range(0, 32, 4), repeat=2):
        cells = list(itertools.product(range(top, top + 4), range(left, left + 4)))
        energy_a = sum(detail_a[y][x] ** 2 + 0.25 for y, x in cells) / gain_a**2
        energy_b = sum(detail_b[y][x] ** 2 + 0.25 for y, x in cells) / gain_b**2
        common = sum(detail_a[y][x] * detail_b[y][x] for y, x in cells) / (gain_a * gain_b)
        blocks.append((2 * common / (energy_a + energy_b), math.sqrt(energy_a + energy_b), energy_a, energy_b, common))
    sum_a, sum_b, sum_common = (sum(block[column] for block in blocks) for column in (2, 3, 4))
    full = max(0.0, sum_common / math.sqrt(sum_a * sum_b))
    if spoilt:
        left = sorted(blocks, key=lambda block: block[2] + block[3] - 2 * block[4])[:-spoilt]
        sum_a, sum_b, sum_common = (sum(block[column] for block in left) for column in (2, 3, 4))
        full = max(full, sum_common / math.sqrt(sum_a * sum_b))
    total = sum(block[1] for block in blocks)
    weights = agreed = reached = 0.0
    for number, (each, weight, *_) in enumerate(sorted(blocks, key=lambda block: -block[0])):
        reached += weight
        if reached <= 0.75 * total or number == 0:
            weights, agreed = weights + weight, agreed + each * weight
    score = (share * full * min(1.0, max(0.0, agreed / weights))) ** (1 / 3)
    seen = [math.sqrt(max(0.0, block[2] * gain_a**2 + block[3] * gain_b**2 - 2 * 4.0 - 8 * 4.0)) for block in blocks]
    score *= min(1.0, sum(seen) ** 2 / max(1e-3, sum(x * x for x in seen)) / 12) ** 0.25
    rest = math.sqrt(sum(distance**2 for distance in apart) / 1024) * min(gain_a, gain_b)
    return 1 - (1 - score) * min(1.0, rest / 0.25)


def excess_of_part(part, whole):
    """What half a picture's pixels, by 96 bins of a 768-bin histogram each, exceed another's, as a share of its own."""
    bins = [[sum(row[start : start + 8]) / sum(row) for start in range(0, 768, 8)] for row in (part, whole)]
    return sum(max(0.0, 0.5 * inner - outer) for inner, outer in zip(*bins, strict=True)) / 0.5


def moments(levels, kept):
    """Mean and standard deviation of the kept pixels, the latter at least half a grey level."""
    mean = sum(levels[p] for p in kept) / len(kept)
    return mean, max(0.5, math.sqrt(sum((levels[p] - mean) ** 2 for p in kept) / len(kept)))


def picture_detail(picture):
    """A square picture less its blur by (1, 2, 1)/4 both ways, the edges repeated."""
    side = len(picture)

    def at(y, x):
        return float(picture[min(max(y, 0), side - 1)][min(max(x, 0), side - 1)])

    weights = {-1: 1, 0: 2, 1: 1}
    return [
        [
            at(y, x) - sum(weights[i] * weights[j] * at(y + i, x + j) for i in weights for j in weights) / 16
            for x in range(side)
        ]
        for y in range(side)
    ]


def waves_likeness(first, second):
    """Correlation of the frequency-weighted cosine waves of two 16 x 16 pictures."""
    a, b = ([w for row in weighted_waves(picture) for w in row] for picture in (first, second))
    return sum(x * y for x, y in zip(a, b, strict=True)) / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def weighted_waves(picture):
    """The cosine waves (DCT-II, orthonormal) of a 16 x 16 picture times sqrt(1 + u^2 + v^2), without the mean."""
    n = len(picture)

    def wave(k, x):
        return math.sqrt((1 if k == 0 else 2) / n) * math.cos(math.pi * (2 * x + 1) * k / (2 * n))

    return [
        [
            0.0
            if u == v == 0
            else math.sqrt(1 + u * u + v * v)
            * sum(float(picture[y][x]) * wave(u, y) * wave(v, x) for y in range(n) for x in range(n))
            for v in range(n)
        ]
        for u in range(n)
    ]


def window_picture(picture, top, left, height, width, side):
    """A window of a square picture at `side` x `side`, each pixel the mean of many points of its linear interpolation.

    top, left, height, width are shares of the picture.
    """
    n, fine = len(picture), 16

    def between(position):
        middle = min(max(position - 0.5, 0.0), n - 1.0)
        low = min(int(middle), n - 2)
        return low, middle - low

    def points(start, length, k):
        return [between(n * (start + length * (k + (i + 0.5) / fine) / side)) for i in range(fine)]

    result = []
    for row in range(side):
        ys = points(top, height, row)
        line = []
        for column in range(side):
            total = 0.0
            xs = points(left, width, column)
            for (y, fy), (x, fx) in itertools.product(ys, xs):
                upper = picture[y][x] * (1 - fx) + picture[y][x + 1] * fx
                lower = picture[y + 1][x] * (1 - fx) + picture[y + 1][x + 1] * fx
                total += upper * (1 - fy) + lower * fy
            line.append(total / fine**2)
        result.append(line)
    return result
