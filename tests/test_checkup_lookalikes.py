"""Healthy runs that are written as faults are: each was once taken for one."""

import torch
from test_checkup_controls import adam, batched, causes, clusters, cross_entropy, examined, mlp
from torch import nn
from torch.nn import functional as F


def test_a_loss_that_means_one_label():
    torch.manual_seed(0)
    real = batched(64, torch.randn(640, 2) + 2)
    model = mlp(2, 32, 1)

    def tells_real_from_noise(model, batch):
        true, false = model(batch[0]), model(torch.randn_like(batch[0]))
        ones, zeros = torch.ones_like(true), torch.zeros_like(false)
        entropy = F.binary_cross_entropy_with_logits
        return entropy(true, ones) + entropy(false, zeros)

    assert not causes(examined(model, tells_real_from_noise, real, adam(model)))


def test_one_distribution_over_the_places_of_a_map():
    torch.manual_seed(0)
    inputs = torch.randn(256, 1, 6, 6)
    wanted = (2 * inputs).flatten(1).softmax(1).reshape(-1, 6, 6)
    model = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 1, 1))

    def divergence(model, batch):
        said = model(batch[0]).flatten(1).log_softmax(1).reshape(-1, 6, 6)
        return F.kl_div(said, batch[1], reduction="batchmean")

    assert not causes(examined(model, divergence, batched(32, inputs, wanted), adam(model)))


def test_four_examples_may_be_all_there_are():
    torch.manual_seed(0)
    inputs = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    model = mlp(2, 16, 2)
    found = examined(
        model, cross_entropy, [(inputs, torch.tensor([0, 1, 1, 0]))], adam(model, 0.01)
    )
    assert not causes(found)


def test_heads_that_share_a_target():
    torch.manual_seed(0)
    inputs = torch.randn(256, 8)
    targets = inputs[:, :1].sin() + inputs[:, 1:2]
    model = mlp(8, 32, 5)

    def ensemble(model, batch):
        return F.mse_loss(model(batch[0]), batch[1].expand(-1, 5))

    assert not causes(examined(model, ensemble, batched(32, inputs, targets), adam(model)))


def test_a_spread_is_not_held_against_its_target():
    torch.manual_seed(0)
    inputs = torch.randn(512, 4)
    targets = torch.randn(512) * (0.2 + inputs[:, 0].abs())
    model = nn.Sequential(mlp(4, 32, 1), nn.Softplus())

    def likelihood(model, batch):
        spread = model(batch[0]).squeeze(1) + 1e-2
        return (spread.log() + batch[1].square() / (2 * spread.square())).mean()

    found = causes(examined(model, likelihood, batched(32, inputs, targets), adam(model)))
    assert "output_range" not in found


class Words(nn.Module):
    """Predicts each word from those before it; the time comes first."""

    def __init__(self):
        super().__init__()
        self.words, self.reads = nn.Embedding(12, 24), nn.GRU(24, 48)
        self.says = nn.Linear(48, 12)

    def forward(self, words):
        return self.says(self.reads(self.words(words))[0])


def test_the_time_may_come_first():
    torch.manual_seed(0)
    rounds = (torch.arange(21)[:, None] * torch.randint(1, 4, (1, 320))) % 12
    words = (rounds + torch.randint(12, (1, 320))) % 12
    batches = list(zip(words[:-1].split(16, 1), words[1:].split(16, 1), strict=True))
    model = Words()

    def next_word(model, batch):
        return F.cross_entropy(model(batch[0]).flatten(0, 1), batch[1].flatten())

    assert not causes(examined(model, next_word, batches, adam(model)))


def test_a_sampler_that_means_few_classes_in_a_batch():
    (whole,) = [[torch.cat(part) for part in zip(*clusters(1024, 16, 1024), strict=True)]]
    inputs, labels = whole
    batches = []
    for start in range(24):
        rows = torch.cat([torch.nonzero(labels == (start + k) % 16)[:8, 0] for k in (0, 5, 9)])
        batches.append((inputs[rows], labels[rows]))
    model = mlp(12, 64, 16)
    assert "sorted_batches" not in causes(examined(model, cross_entropy, batches, adam(model)))


def test_a_frozen_part_stays_in_eval():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Sequential(nn.Linear(12, 32), nn.BatchNorm1d(32), nn.ReLU()), nn.Linear(32, 4)
    )
    model[0].requires_grad_(False)

    def step(model, optimizer, batch):
        model.eval()
        optimizer.zero_grad()
        loss = cross_entropy(model, batch)
        loss.backward()
        optimizer.step()
        return loss.item()

    optimizer = adam(model[1], 1e-2)
    found = causes(examined(model, cross_entropy, clusters(), optimizer, step))
    assert "eval_mode" not in found


def test_a_straight_line_may_be_all_that_is_needed():
    torch.manual_seed(0)
    inputs = torch.randn(512, 10)
    targets = inputs @ torch.randn(10, 3)
    model = nn.Sequential(nn.Linear(10, 8), nn.Linear(8, 3))

    def squares(model, batch):
        return F.mse_loss(model(batch[0]), batch[1])

    assert not causes(examined(model, squares, batched(32, inputs, targets), adam(model, 1e-2)))


def test_missing_labels_that_the_loss_masks():
    torch.manual_seed(0)
    inputs = torch.randn(512, 8)
    labels = (inputs[:, :4] > 0).float()
    labels[torch.rand(512, 4) < 0.3] = torch.nan
    model = mlp(8, 32, 4)

    def of_the_known(model, batch):
        known = batch[1].isfinite()
        return F.binary_cross_entropy_with_logits(model(batch[0])[known], batch[1][known])

    assert not causes(examined(model, of_the_known, batched(32, inputs, labels), adam(model)))


class Pooled(nn.Module):
    """Computes a summary that its loss does not use."""

    def __init__(self):
        super().__init__()
        self.reads, self.pools, self.says = mlp(12, 32, 32), nn.Linear(32, 16), nn.Linear(32, 4)

    def forward(self, inputs):
        read = self.reads(inputs).relu()
        return self.says(read), self.pools(read)


def test_a_summary_that_nobody_uses():
    torch.manual_seed(0)
    model = Pooled()

    def loss(model, batch):
        return F.cross_entropy(model(batch[0])[0], batch[1])

    assert "no_gradient" not in causes(examined(model, loss, clusters(), adam(model)))


def test_a_step_that_draws_data_of_its_own():
    torch.manual_seed(0)
    model = mlp(12, 32, 4)
    unlabelled = torch.randn(7, 16, 12)
    endless = (rows for _ in iter(int, 1) for rows in unlabelled)

    def step(model, optimizer, batch):
        optimizer.zero_grad()
        loss = cross_entropy(model, batch)
        beside = next(endless)
        (loss + (model(beside) - model(-beside)).square().sum()).backward()
        optimizer.step()
        return loss.item()

    found = causes(examined(model, cross_entropy, clusters(), adam(model), step))
    assert "stale_gradients" not in found


def test_a_head_that_trains_on_a_body_in_eval():
    torch.manual_seed(0)
    body = nn.Sequential(nn.Linear(12, 32), nn.BatchNorm1d(32), nn.ReLU())
    model = nn.Sequential(body, nn.Sequential(nn.Dropout(0.1), nn.Linear(32, 4)))

    def step(model, optimizer, batch):
        model.eval()
        model[1].train()
        optimizer.zero_grad()
        loss = cross_entropy(model, batch)
        loss.backward()
        optimizer.step()
        return loss.item()

    found = causes(examined(model, cross_entropy, clusters(), adam(model), step))
    assert "eval_mode" not in found


def test_sparse_gradients_are_examined():
    torch.manual_seed(0)
    words = torch.randint(40, (512, 6))
    labels = (words < 20).sum(1).gt(3).long()
    model = nn.Sequential(nn.EmbeddingBag(40, 16, sparse=True), nn.Linear(16, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    cross_entropy(model, (words[:32], labels[:32])).backward()
    kept = model[0].weight.grad.coalesce().values().clone()
    assert not causes(examined(model, cross_entropy, batched(32, words, labels), optimizer))
    assert torch.equal(model[0].weight.grad.coalesce().values(), kept)
