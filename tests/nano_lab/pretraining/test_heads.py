"""The auxiliary heads: what they are taught, and that it can be learned."""

from __future__ import annotations

import torch
from torch.nn import functional

from nano_lab.pretraining.heads import PositionHead
from nano_lab.pretraining.network import _positions
from nano_lab.pretraining.reading_heads import RECENT_TOKENS, RecentHead


def test_places_are_read_linearly_and_unknown_ones_left_out() -> None:
    torch.manual_seed(0)
    head = PositionHead(32)
    cells = torch.arange(196)
    both = [functional.one_hot(part, 14).float() for part in (cells // 14, cells % 14)]
    states = torch.cat(both, dim=1) @ torch.randn(28, 32)
    optimizer = torch.optim.Adam(head.parameters(), lr=0.05)
    before = head.loss(states, cells)[0].detach()
    for _ in range(150):
        optimizer.zero_grad()
        loss, right = head.loss(states, cells)
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.2 * float(before)
    assert int(right) > 150
    some = cells.clone()
    some[::2] = -1
    assert head.loss(states, some)[0].item() < 0.7 * head.loss(states, cells)[0].item()
    nothing, none = head.loss(states, torch.full_like(cells, -1))
    assert (float(nothing.detach()), int(none)) == (0.0, 0)


def test_windows_keep_the_places_of_their_tile() -> None:
    tiles = torch.zeros(2)
    whole, windows = _positions(tiles, windowed=False), _positions(tiles, windowed=True)
    assert whole.shape == (2, 196)
    assert windows.shape == (8, 49)
    assert windows[0, :8].tolist() == [0, 1, 2, 3, 4, 5, 6, 14]
    assert windows[4, 0].item() == 6 * 14


def test_the_tokens_before_are_those_of_the_same_answer() -> None:
    torch.manual_seed(0)
    head = RecentHead(8, 20)
    ids = torch.arange(14)[None]
    labels = torch.where((ids >= 6) & (ids < 12), ids, -100)
    states = torch.randn(1, 14, 8)
    logits = head.tokens(head.norm(states)).view(14, RECENT_TOKENS, 20)
    # Of six tokens of the answer the last two have four before them.
    wanted = sum(
        functional.cross_entropy(logits[at], torch.tensor([at - 4, at - 3, at - 2, at - 1]))
        for at in (10, 11)
    )
    assert torch.isclose(head.loss(states, ids, labels), torch.as_tensor(wanted))
    assert head.loss(states, ids, torch.full_like(ids, -100)).item() == 0.0
