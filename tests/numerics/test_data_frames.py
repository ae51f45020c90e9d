"""Data frames as numbers: numbers as they are, other columns one-hot over all frames."""

import numpy as np
import pandas as pd

from lfi.numerics.data_frames import frames_as_numbers, is_frame


def test_numbers_stay_and_categories_are_one_hot_over_all_frames():
    p = pd.DataFrame({"n": [1, 2], "c": pd.Categorical(["b", "a"]), "flag": [True, False]})
    q = pd.DataFrame({"flag": [True], "c": ["z"], "n": [0.5]})
    one, other = frames_as_numbers((p, q), ("p", "q"))
    assert one.tolist() == [[1, 1, 0, 0, 1], [2, 0, 1, 0, 0]]
    assert other.tolist() == [[0.5, 0, 0, 1, 1]]


def test_what_is_no_pair_of_frames_stays_as_it_is():
    frame, array = pd.DataFrame({"n": [1.0]}), np.ones((1, 1))
    one, other = frames_as_numbers((frame, array), ("p", "q"))
    assert one is frame and other is array
    assert is_frame(frame) and not is_frame(array) and not is_frame(None)
