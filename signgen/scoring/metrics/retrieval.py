"""How well the fusion embedding finds the picture that it stands for (FPDM Table 2): recall at k, and the mean rank.

A query is the embedding of (source, target pose); what it shall find is the target's own embedding, among those of all
pictures of the gallery. The sources are in the gallery too: an embedding that says little of the pose finds those.
"""

from __future__ import annotations

import numpy as np

from signgen.errors import InputError

AT = (1, 3, 5)  # FPDM Table 2
MEASURES = (*(f"recall_at_{k}" for k in AT), "mean_rank")


def ranks(queries: np.ndarray, gallery: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Place of each query's own picture when the gallery is sorted by cosine similarity, int64 (Q,), 1 is the best.

    Pictures as similar as the own one count as better, so that a model which tells nothing apart gains nothing by it.

    Args:
        queries: (Q, D), gallery: (G, D), neither need be of unit length.
        own: (Q,) index into the gallery of what each query shall find.

    Raises:
        InputError: the widths differ, or an index lies outside of the gallery.
    """
    if queries.shape[1:] != gallery.shape[1:] or len(own) != len(queries):
        got = f"{queries.shape} queries, {gallery.shape} pictures, {len(own)} answers"
        raise InputError("retrieval", got, "give one answer a query and embeddings of one width")
    if len(own) and (own.min() < 0 or own.max() >= len(gallery)):
        raise InputError("retrieval", f"answers from {own.min()} to {own.max()}", f"the gallery has {len(gallery)}")
    similar = _unit(queries) @ _unit(gallery).T  # (Q, G)
    mine = np.take_along_axis(similar, own[:, None], 1)  # (Q, 1)
    return (similar >= mine).sum(1)


def sums(found: np.ndarray) -> np.ndarray:
    """Ranks (Q,) -> (M, 2) numerators and denominators of `MEASURES`, which may be added over clips."""
    hits = [[(found <= k).sum(), len(found)] for k in AT]
    return np.array([*hits, [found.sum(), len(found)]], np.float64)


def chance(gallery: int) -> dict[str, float]:
    """What a random order of so many pictures gives on average."""
    recalls = {f"recall_at_{k}": min(1.0, k / gallery) for k in AT}
    return {**recalls, "mean_rank": (gallery + 1) / 2}


def _unit(rows: np.ndarray) -> np.ndarray:
    rows = rows.astype(np.float64)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
