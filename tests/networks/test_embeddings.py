"""Embeddings: what they must not see, they do not see; shapes that do not fit are refused."""

import pytest
import torch

from lfi.networks import ImageEmbedding, SeriesEmbedding, SetEmbedding


def single(*shape):
    return torch.randn(*shape, dtype=torch.float32)


CASES = [
    (SetEmbedding, (7,)),
    (SetEmbedding, (7, 3)),
    (SetEmbedding, (1, 3)),
    (SeriesEmbedding, (50,)),
    (SeriesEmbedding, (2, 33)),
    (SeriesEmbedding, (3,)),
    (ImageEmbedding, (8, 8)),
    (ImageEmbedding, (3, 16, 9)),
]
each_case = pytest.mark.parametrize(("kind", "shape"), CASES, ids=lambda v: str(v))


@each_case
def test_an_embedding_gives_vectors_for_any_leading_dimensions(kind, shape):
    embedding, x = kind(shape, size=6), single(4, *shape)
    embedding.fit_from_data(x)
    out = embedding(x)
    assert out.shape == (4, 6)
    assert out.isfinite().all()
    torch.testing.assert_close(embedding(x[:1])[0], out[0])
    torch.testing.assert_close(embedding(x.reshape(2, 2, *shape)).reshape(4, 6), out)


@each_case
def test_scales_are_learnt_so_that_units_do_not_matter(kind, shape):
    torch.manual_seed(1)
    x = single(200, *shape)
    first = kind(shape, size=6)
    first.fit_from_data(x)
    second = kind(shape, size=6)
    second.load_state_dict(first.state_dict())
    second.fit_from_data(1000 * x)
    torch.testing.assert_close(second(1000 * x), first(x), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("shape", [(7,), (7, 3)], ids=str)
def test_the_order_of_a_set_means_nothing(shape):
    embedding, x = SetEmbedding(shape, size=6), single(5, *shape)
    order = torch.randperm(7)
    torch.testing.assert_close(embedding(x[:, order]), embedding(x))
    assert not torch.allclose(embedding(x + 1), embedding(x))


@each_case
def test_every_entry_of_x_has_a_gradient(kind, shape):
    embedding, x = kind(shape, size=6), single(3, *shape).requires_grad_()
    embedding(x).square().sum().backward()
    assert (x.grad.abs().amax(0) > 0).double().mean() == 1.0


@pytest.mark.parametrize(
    ("kind", "shape"),
    [(SetEmbedding, (2, 3, 4)), (SeriesEmbedding, ()), (ImageEmbedding, (8,))],
    ids=lambda v: str(v),
)
def test_events_of_another_kind_are_refused(kind, shape):
    with pytest.raises(ValueError, match="x_shape must be"):
        kind(shape)
