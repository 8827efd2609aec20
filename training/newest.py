"""Setting the newest labelled rows apart: the gate judges by them, so nobody may train on them."""

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


def number_blocks(devices: npt.NDArray[np.object_], times: Ints, length_ns: int) -> Ints:
    """The number of the block of each row [n]: rows of one device within one length of time.

    Args:
        devices: [n] names.
        times: [n] nanoseconds since 1970.
        length_ns: Of a block.
    """
    _, device = np.unique(devices.astype(str), return_inverse=True)
    _, numbers = np.unique(np.column_stack([device, times // length_ns]), axis=0, return_inverse=True)
    return np.asarray(numbers, dtype=np.int64).reshape(-1)


def newest_rows(
    labels: Ints, blocks: Ints, times: Ints, *, share: float, fewest: int
) -> npt.NDArray[np.bool_]:
    """Which rows [n] are among the newest blocks.

    Of either kind the newest whole blocks, until they hold the share of its rows and are so many as the gate needs,
    but at most half of them: something has to be learned from. No block is on both sides.

    Args:
        labels: [n], 0 or 1.
        blocks: [n], numbers of blocks; of a block with rows of both kinds all go where its faults go.
        times: [n], nanoseconds since 1970.
        share: Of the rows of a kind.
        fewest: Blocks of a kind.
    """
    taken: set[int] = set()
    for kind in (1, 0):
        rows = np.flatnonzero(labels == kind)
        numbers, index = np.unique(blocks[rows], return_inverse=True)
        if not len(numbers):
            continue
        last = np.zeros(len(numbers), dtype=np.int64)
        np.maximum.at(last, index, times[rows])
        sizes = np.bincount(index)
        newest_first = np.argsort(-last, kind="stable")
        enough = max(int(np.searchsorted(np.cumsum(sizes[newest_first]), share * len(rows))) + 1, fewest)
        taken |= {int(number) for number in numbers[newest_first[: min(enough, len(numbers) // 2)]]}
    return np.isin(blocks, sorted(taken))
