"""The attention that is written out is PyTorch's."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from models.attention import Attention, AttentionConfig, attend, causal

few = settings(max_examples=60, deadline=None)
sizes = st.integers(1, 9)


def close(mine: Tensor, theirs: Tensor) -> None:
    """Equal within 1e-6."""
    torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-6)


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def mask(seed: int, *shape: int) -> Tensor:
    """A random mask under which every query sees its first key."""
    visible = torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) < 0.6
    visible[..., 0] = True
    return visible


@few
@given(
    leading=st.lists(st.integers(1, 3), max_size=2),
    positions=st.tuples(sizes, sizes),
    dims=st.tuples(sizes, sizes),
    masked=st.sampled_from(["nothing", "one for all", "each its own", "causal"]),
    seed=st.integers(0, 99),
)
def test_attend_is_scaled_dot_product_attention(
    leading: list[int], positions: tuple[int, int], dims: tuple[int, int], masked: str, seed: int
) -> None:
    """For any shape and mask the result is that of torch's own, and each row of weights sums to 1."""
    (t, s), (d, e) = positions, dims
    s = t if masked == "causal" else s
    q, k, v = (normal(seed + i, *leading, n, m) for i, (n, m) in enumerate([(t, d), (s, d), (s, e)]))
    visible = {
        "nothing": None,
        "one for all": mask(seed, t, s),
        "each its own": mask(seed, *leading, t, s),
        "causal": causal(t),
    }[masked]
    out, weights = attend(q, k, v, visible)
    close(out, F.scaled_dot_product_attention(q, k, v, attn_mask=visible))
    close(weights.sum(-1), torch.ones(*leading, t))
    if visible is not None:
        assert not weights.masked_fill(visible, 0).any()


def test_a_query_that_sees_nothing_gets_nothing() -> None:
    """Where every key is hidden the result is 0, not NaN, and so are all gradients."""
    q, k, v = (normal(i, 2, 4, 3).requires_grad_() for i in range(3))
    out, weights = attend(q, k, v, torch.zeros(4, 4, dtype=torch.bool))
    assert not out.any()
    assert not weights.any()
    out.sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in (q, k, v))


def pair(config: AttentionConfig, seed: int) -> tuple[Attention, nn.MultiheadAttention]:
    """The same weights in both; without an output map theirs is the identity."""
    mine, theirs = Attention(config), nn.MultiheadAttention(config.dim, config.heads, config.bias, batch_first=True)
    dim = config.dim
    with torch.no_grad():
        for i, parameter in enumerate(mine.parameters()):
            parameter.copy_(normal(seed + i, *parameter.shape) * 0.3)
        theirs.in_proj_weight.copy_(torch.cat([mine.q.weight, mine.k.weight, mine.v.weight]))
        if config.bias:
            theirs.in_proj_bias.copy_(torch.cat([mine.q.bias, mine.k.bias, mine.v.bias]))
        out = mine.o if config.output else None
        their_out: Any = theirs.out_proj
        their_out.weight.copy_(out.weight if out is not None else torch.eye(dim))
        if their_out.bias is not None:
            their_out.bias.copy_(out.bias if out is not None and config.output_bias else torch.zeros(dim))
    return mine.double().eval(), theirs.double().eval()


@few
@given(
    heads=st.integers(1, 4),
    per_head=st.integers(1, 5),
    shape=st.tuples(st.integers(1, 4), sizes, sizes),
    bias=st.booleans(),
    output=st.sampled_from([(True, True), (True, False), (False, False)]),
    padded=st.booleans(),
    masked=st.booleans(),
    seed=st.integers(0, 99),
)
def test_attention_is_multihead_attention(
    heads: int,
    per_head: int,
    shape: tuple[int, int, int],
    bias: bool,
    output: tuple[bool, bool],
    padded: bool,
    masked: bool,
    seed: int,
) -> None:
    """With and without biases, output map, padding and mask, the result is that of torch's own layer.

    In double precision: single rounds values beyond 2 by more than the 1e-6 allowed.
    """
    b, t, s = shape
    has_map, has_bias = output
    config = AttentionConfig(heads * per_head, heads, bias, has_map, has_bias and bias)
    mine, theirs = pair(config, seed)
    x, memory = normal(seed, b, t, config.dim).double(), normal(seed + 1, b, s, config.dim).double()
    present = mask(seed, b, s) if padded else None
    visible = mask(seed + 1, t, s) if masked else None
    with torch.no_grad():
        expected, _ = theirs(
            x,
            memory,
            memory,
            key_padding_mask=None if present is None else ~present,
            attn_mask=None if visible is None else ~visible,
            need_weights=False,
        )
        close(mine(x, memory, present, visible), expected)


def test_a_position_sees_none_after_it() -> None:
    """Under the causal mask a change of one position leaves all before it as they were."""
    attention = Attention(AttentionConfig(8, 2)).eval()
    x = normal(0, 2, 6, 8)
    changed = x.clone()
    changed[:, 3] += 1
    with torch.no_grad():
        a, b = (attention(each, each, None, causal(6)) for each in (x, changed))
    assert torch.equal(a[:, :3], b[:, :3])
    assert (a[:, 3:] != b[:, 3:]).any(-1).all()


def test_padding_is_not_seen() -> None:
    """What stands in a padded position does not matter to any other."""
    attention = Attention(AttentionConfig(8, 2)).eval()
    x = normal(0, 1, 6, 8)
    changed = x.clone()
    changed[:, 4:] = 99
    present = torch.tensor([[True] * 4 + [False] * 2])
    with torch.no_grad():
        a, b = (attention(each, each, present) for each in (x, changed))
    assert torch.equal(a[:, :4], b[:, :4])


def test_heads_that_do_not_divide_are_refused() -> None:
    """The message names both numbers."""
    with pytest.raises(ValueError, match="3 heads cannot share 8"):
        AttentionConfig(8, 3)
