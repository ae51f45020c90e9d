"""Trackers: the numbers of training while it runs, in a file, on TensorBoard, or by your own."""

from lfi.training import (
    CsvTracker as CsvTracker,
    TensorBoardTracker as TensorBoardTracker,
    Tracker as Tracker,
    tracking as tracking,
)
