"""Histories: told in words, kept as JSON, joined."""

import json

from lfi.training import History


def test_histories_are_joined_one_after_the_other():
    one = History({"family": ((1, 2.0),), "held-out": ((2, 1.5),)}, 2, 2, 1.0, "done", 0)
    two = History({"head": ((1, 1.0),), "held-out": ((3, 0.5),)}, 3, 3, 2.0, "done", 0)
    history = History.joined([one, two], ["family", "head"], notes="weights family 1.00", seed=7)
    assert history.columns == {
        "family": ((1, 2.0),),
        "family, held-out": ((2, 1.5),),
        "head": ((3, 1.0),),
        "head, held-out": ((5, 0.5),),
    }
    assert (history.steps, history.seconds, history.seed) == (5, 3.0, 7)


def test_a_history_survives_json():
    history = History({"loss": ((1, 2.0), (2, 1.5))}, 2, None, 1.0, "all steps done", 3)
    assert History._restore(json.loads(json.dumps(history._spec()))) == history


def test_a_history_says_where_each_column_ended():
    history = History({"loss": ((1, 2.0), (2, 1.5), (3, 1.75))}, 3, 2, 1.0, "all steps done", 3)
    assert repr(history) == history.describe()
    assert "1.75 at step 3, lowest 1.5 at step 2" in history.describe()
    assert "weights of step 2, seed 3" in history.describe()
