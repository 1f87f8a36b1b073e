"""Random forests in the open form, and how the libraries walk through them."""

import numpy as np

from penstock.models.forest import NODE, Forest

VALUES = np.array([-2.0, -0.5, 0.0, 0.1, 0.3, 1.0, 16777217.0, np.nan])
"""Few, so that rows meet thresholds; 0.1, 0.3 and 2^24 + 1 are rounded in float32."""


def random_forest(rng, *, width=3, trees=3, depth=4, **arithmetic):
    """Trees of random shape in which features return, covers are uneven, and thresholds are values that rows hold."""
    nodes, roots = [], []
    for _ in range(trees):
        tree = []

        def grow(level, cover, tree=tree):
            place = len(tree)
            tree.append(None)
            if level == depth or rng.random() < 0.2:
                tree[place] = (-1, -1, 0, 0, 0.0, rng.normal(), cover)
                return place
            share = rng.uniform(0.05, 0.95)
            feature, default, threshold = rng.integers(width), rng.integers(2), rng.choice(VALUES[:-1])
            if arithmetic.get("compare32") and not arithmetic.get("inclusive"):
                threshold = np.float32(threshold)
            left, right = grow(level + 1, cover * share), grow(level + 1, cover * (1 - share))
            tree[place] = (left, right, feature, default, threshold, 0.0, cover)
            return place

        grow(0, 100.0)
        roots.append(len(nodes))
        nodes += tree
    return Forest(np.array(nodes, NODE), np.array(roots), base=0.25, width=width, **arithmetic)


def random_rows(rng, n, width=3):
    return rng.choice(VALUES, size=(n, width))


def walk(forest, row):
    """One row through every tree, as the libraries do it."""
    number = np.float32 if forest.sum32 else np.float64
    total = number(forest.base)
    for root in forest.roots:
        node = forest.nodes[root]
        while node["left"] >= 0:
            value = row[node["feature"]]
            seen = float(np.float32(value)) if forest.compare32 else value
            below = seen <= node["threshold"] if forest.inclusive else seen < node["threshold"]
            goes_left = node["default_left"] if np.isnan(value) else below
            node = forest.nodes[root + (node["left"] if goes_left else node["right"])]
        total = total + number(node["value"])
    return float(total) / (len(forest.roots) if forest.average else 1)


def scores(member, x):
    out = np.empty(len(x))
    member.fill(x, out)
    return out
