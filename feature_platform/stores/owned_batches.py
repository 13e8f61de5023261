"""Batches of a result that own what they are read through: a connection, a lease, a transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


class OwnedBatches:
    """Gives its resources back at the end, on an error, or when it is dropped half read."""

    def __init__(
        self,
        batches: Iterator[pa.RecordBatch],
        resources: ExitStack,
        reported: Callable[[], AbstractContextManager[None]],
    ) -> None:
        """``reported`` turns the engine's errors into the platform's."""
        self._batches = batches
        self._resources = resources
        self._reported = reported

    def __iter__(self) -> OwnedBatches:
        return self

    def __next__(self) -> pa.RecordBatch:
        try:
            with self._reported():
                return next(self._batches)
        except StopIteration:
            self._resources.close()
            raise
        except BaseException as error:
            self._give_up(error)
            raise

    def __del__(self) -> None:
        self._give_up(GeneratorExit())

    def _give_up(self, error: BaseException) -> None:
        """Lets resources know that rows are left: a server is told to stop sending instead of being read to the end."""
        self._resources.__exit__(type(error), error, error.__traceback__)
