"""Batches for the training loop: from tensors on the device, or streamed in shuffled groups.

Both paths follow the same plan. The rows are cut into blocks of ``block_rows``; in each epoch the
blocks are put in random order, every group of ``shuffle_rows`` rows (as many blocks as that
takes) is shuffled within, and batches are cut from the concatenation. With one group this is a
full shuffle. The plan depends on the seed and the epoch only, so streamed and resident training
give the same numbers for equal ``shuffle_rows``.
"""

__all__ = [
    "Batches",
    "RowSource",
    "TensorRows",
    "held_out_rows",
    "make_batches",
    "read_chosen",
]

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from neurosbi.errors import BadInputError
from neurosbi.seeds import derive_seed
from neurosbi.training.config import TrainingConfig

_ROWS_AT_ONCE = 65_536
_SMALLEST_BATCH = 32


class RowSource(Protocol):
    """Rows that can be read in ranges: each column is a tensor whose first axis is the row."""

    def __len__(self) -> int:
        """Number of rows."""
        ...

    def read(self, start: int, stop: int) -> tuple[Tensor, ...]:
        """The columns of rows ``start .. stop``, CPU tensors."""
        ...


class TensorRows:
    """A `RowSource` over tensors in memory."""

    def __init__(self, *columns: Tensor) -> None:
        if not columns or any(len(c) != len(columns[0]) for c in columns):
            raise BadInputError("training data are one or more tensors of the same length")
        self.columns = columns

    def __len__(self) -> int:
        return len(self.columns[0])

    def read(self, start: int, stop: int) -> tuple[Tensor, ...]:
        """Views of the rows."""
        return tuple(c[start:stop] for c in self.columns)


class Batches:
    """Training batches by epoch and the validation rows, on ``device``."""

    def __init__(
        self, source: RowSource, config: TrainingConfig, *, seed: int, device: torch.device
    ) -> None:
        n = len(source)
        self.held_out = held_out_rows(n, config, seed=seed)
        n_validation = int(self.held_out.sum())
        if n - n_validation < 2:
            raise BadInputError(
                f"training needs at least 3 usable simulations, there {_are(n)} in this set"
            )
        self.source, self.config, self.seed, self.device = source, config, seed, device
        self.n_train, self.n_validation = n - n_validation, n_validation
        wanted = max(_SMALLEST_BATCH, self.n_train // config.min_steps)
        self.batch_size = min(config.batch_size, wanted, self.n_train)
        self.steps = self.n_train // self.batch_size
        head = source.read(0, min(n, 64))
        row_bytes = sum(c.nbytes for c in head) / len(head[0])
        self.resident = n * row_bytes <= config.memory_gb * 1e9
        affordable = n if self.resident else int(config.memory_gb * 1e9 / row_bytes / 4)
        wanted = config.shuffle_rows or affordable
        self.group_blocks = max(1, min(wanted, n) // config.block_rows) if wanted < n else None
        self._validation: tuple[Tensor, ...] | None = None
        self._data: tuple[Tensor, ...] | None = None
        if self.resident:
            self._data = _read_all(source, device)

    def validation(self) -> tuple[Tensor, ...]:
        """All validation rows, in the order of the source."""
        if self._validation is None:
            if self._data is not None:
                rows = torch.as_tensor(np.flatnonzero(self.held_out)).to(self.device)
                self._validation = tuple(c[rows] for c in self._data)
            else:
                self._validation = self._read_validation()
        return self._validation

    def epoch(self, number: int, *, skip: int = 0) -> Iterator[tuple[Tensor, ...]]:
        """The batches of one epoch, from batch ``skip`` on; a ragged last batch is left out."""
        groups = self._groups(number)
        if self._data is not None:
            order = torch.as_tensor(np.concatenate([rows for _, rows in groups])).to(self.device)
            for step in range(skip, self.steps):
                rows = order[step * self.batch_size : (step + 1) * self.batch_size]
                yield tuple(c.index_select(0, rows) for c in self._data)
        else:
            yield from self._stream(groups, skip)

    def _groups(self, number: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """(blocks, rows in order) of every group of this epoch."""
        n, size = len(self.source), self.config.block_rows
        rng = _generator(self.seed, f"order of epoch {number}")
        if self.group_blocks is None:
            rows = np.flatnonzero(~self.held_out)
            return [(np.arange(-(-n // size)), rng.permutation(rows))]
        blocks = rng.permutation(-(-n // size))
        groups = []
        for first in range(0, len(blocks), self.group_blocks):
            chosen = np.sort(blocks[first : first + self.group_blocks])
            rows = np.concatenate([np.arange(b * size, min((b + 1) * size, n)) for b in chosen])
            groups.append((chosen, rng.permutation(rows[~self.held_out[rows]])))
        return groups

    def _stream(
        self, groups: Sequence[tuple[np.ndarray, np.ndarray]], skip: int
    ) -> Iterator[tuple[Tensor, ...]]:
        """Read group after group, the next one while the present one is used."""
        ends = np.cumsum([len(rows) for _, rows in groups])
        at = skip * self.batch_size
        first = int(np.searchsorted(ends, at, side="right"))
        at -= int(ends[first - 1]) if first else 0
        left = skip
        rest: tuple[Tensor, ...] | None = None
        with ThreadPoolExecutor(1) as reader:
            coming = reader.submit(self._read_group, groups[first]) if first < len(groups) else None
            for number in range(first, len(groups)):
                assert coming is not None  # one is always on its way here
                columns = coming.result()
                if number + 1 < len(groups):
                    coming = reader.submit(self._read_group, groups[number + 1])
                if at:
                    columns, at = tuple(c[at:] for c in columns), 0
                if rest is not None:
                    columns = tuple(torch.cat(pair) for pair in zip(rest, columns, strict=True))
                whole = len(columns[0]) // self.batch_size
                for step in range(min(whole, self.steps - left)):
                    cut = slice(step * self.batch_size, (step + 1) * self.batch_size)
                    yield tuple(c[cut].to(self.device, non_blocking=True) for c in columns)
                left += whole
                rest = tuple(c[whole * self.batch_size :] for c in columns)

    def _read_group(self, group: tuple[np.ndarray, np.ndarray]) -> tuple[Tensor, ...]:
        blocks, rows = group
        size, n = self.config.block_rows, len(self.source)
        parts = [self.source.read(b * size, min((b + 1) * size, n)) for b in blocks.tolist()]
        columns = [torch.cat(column) for column in zip(*parts, strict=True)]
        # a row's place among the blocks that were read; only the last block of all may be short
        starts = np.searchsorted(blocks, rows // size) * size
        places = torch.as_tensor(starts + rows % size)
        return tuple(c.index_select(0, places) for c in columns)

    def _read_validation(self) -> tuple[Tensor, ...]:
        columns = read_chosen(self.source, self.held_out, block_rows=self.config.block_rows)
        return tuple(column.to(self.device) for column in columns)


def read_chosen(
    source: RowSource, chosen: np.ndarray, *, most: int | None = None, block_rows: int = 4096
) -> tuple[Tensor, ...]:
    """The columns of the (first ``most``) rows ``chosen`` [row], read in blocks."""
    rows = np.flatnonzero(chosen)[:most]
    parts = []
    for start in range(0, int(rows[-1]) + 1, block_rows):
        stop = min(start + block_rows, len(source))
        inside = rows[(rows >= start) & (rows < stop)]
        if len(inside):
            parts.append(tuple(c[inside - start] for c in source.read(start, stop)))
    return tuple(torch.cat(column) for column in zip(*parts, strict=True))


def held_out_rows(n: int, config: TrainingConfig, *, seed: int) -> np.ndarray:
    """Which of ``n`` rows a training with this ``seed`` validates on and never learns from, bool [n]."""
    n_validation = min(max(1, round(config.validation_fraction * n)), config.max_validation)
    order = _generator(seed, "validation rows").permutation(n)
    held_out = np.zeros(n, dtype=bool)
    held_out[order[:n_validation]] = True
    return held_out


def make_batches(
    source: RowSource | Sequence[Tensor],
    config: TrainingConfig,
    *,
    seed: int,
    device: torch.device,
) -> Batches:
    """Batches of a `RowSource`, or of tensors of equal length."""
    rows: RowSource = TensorRows(*source) if isinstance(source, list | tuple) else source  # type: ignore[assignment]
    return Batches(rows, config, seed=seed, device=device)


def _read_all(source: RowSource, device: torch.device) -> tuple[Tensor, ...]:
    """All rows on the device; read in pieces, so that raw and prepared data never both fill memory."""
    pieces = range(0, len(source), _ROWS_AT_ONCE)
    parts = [source.read(i, min(i + _ROWS_AT_ONCE, len(source))) for i in pieces]
    return tuple(torch.cat(column).to(device) for column in zip(*parts, strict=True))


def _generator(seed: int, purpose: str) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=derive_seed(seed, purpose)))


def _are(n: int) -> str:
    return "is 1" if n == 1 else f"are {n}"
