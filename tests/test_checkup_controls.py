"""What looks like a fault and is none, beside the fault that looks like it."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from course_utils.checkup import Report, checkup


@pytest.fixture(autouse=True)
def same_start():
    torch.manual_seed(0)


def mlp(*widths) -> nn.Sequential:
    layers = [
        nn.Sequential(nn.Linear(a, b), nn.ReLU())
        for a, b in zip(widths, widths[1:-1], strict=False)
    ]
    return nn.Sequential(*layers, nn.Linear(*widths[-2:]))


def batched(size, *tensors) -> list:
    return list(zip(*(tensor.split(size) for tensor in tensors), strict=True))


def clusters(count=256, classes=4, size=16) -> list:
    chance = torch.Generator().manual_seed(3)
    labels = torch.arange(count) % classes
    inputs = 2 * torch.randn(classes, 12, generator=chance)[labels]
    inputs = inputs + torch.randn(count, 12, generator=chance)
    return batched(size, inputs, labels)


def cross_entropy(model, batch):
    return F.cross_entropy(model(batch[0]), batch[1])


def squares(model, batch):
    return F.mse_loss(model(batch[0]).squeeze(1), batch[1])


def adam(model, rate=3e-3):
    return torch.optim.Adam(model.parameters(), lr=rate)


def trained(model, loss, batches, optimizer, steps=100):
    for done in range(steps):
        optimizer.zero_grad()
        loss(model, batches[done % len(batches)]).backward()
        optimizer.step()


def causes(report: Report) -> list[str]:
    return [finding.cause for finding in report.findings]


def examined(*arguments, **more) -> Report:
    return checkup(*arguments, progress=False, **more)


@pytest.mark.parametrize(("shown", "expected"), [(0.5, []), (9.0, ["number_on_screen"])])
def test_the_mean_of_an_epoch_is_not_doubted_a_multiple_is(shown, expected):
    model, batches = mlp(12, 32, 4), clusters()
    optimizer = adam(model)
    trained(model, cross_entropy, batches, optimizer)
    now = sum(cross_entropy(model, batch).item() for batch in batches) / len(batches)
    assert 3 * now < 0.5  # so the epoch's mean is far above it
    assert causes(examined(model, cross_entropy, batches, optimizer, shown=shown)) == expected


@pytest.mark.parametrize(("every", "expected"), [(16, []), (10**9, ["no_step"])])
def test_a_step_may_wait_for_sixteen_batches_and_not_for_ever(every, expected):
    model = mlp(12, 32, 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
    optimizer.calls = 0  # torch's copies of an optimiser leave this behind

    def step(model, optimizer, batch):
        (cross_entropy(model, batch) / 16).backward()
        optimizer.calls += 1
        if optimizer.calls % every == 0:
            optimizer.step()
            optimizer.zero_grad()

    report = examined(model, cross_entropy, clusters(), optimizer, step=step)
    assert causes(report) == expected
    assert optimizer.calls == 0 and not any("trials" in text for text in report.untested)


class Wrapped(torch.optim.Optimizer):
    """An optimiser around another, as sharpness-aware minimisation is commonly written."""

    def __init__(self, parameters, within, **settings):
        super().__init__(parameters, settings)
        self.within = within(self.param_groups, **settings)
        self.param_groups = self.within.param_groups

    def step(self, closure=None):
        return self.within.step(closure)


def test_an_optimiser_within_an_optimiser_is_copied():
    model = mlp(12, 32, 4)
    optimizer = Wrapped(model.parameters(), torch.optim.SGD, lr=0.1)
    before = [p.clone() for p in model.parameters()]
    report = examined(model, cross_entropy, clusters(), optimizer)
    assert not report.findings and report.measured["left_own"]["end"] < 0.2
    assert all(
        torch.equal(one, other) for one, other in zip(before, model.parameters(), strict=True)
    )


@pytest.mark.parametrize(("dealt", "expected"), [(False, []), (True, ["labels_say_nothing"])])
def test_equal_inputs_may_differ_in_their_labels_if_they_still_say_something(dealt, expected):
    chance = torch.Generator().manual_seed(1)
    kinds = torch.randn(12, 5, generator=chance)
    which = torch.randint(12, (1200,), generator=chance)
    likely = torch.sigmoid(3 * kinds[which, 0])
    labels = (torch.rand(1200, generator=chance) < likely).float()
    labels = labels[torch.randperm(1200, generator=chance)] if dealt else labels
    model, batches = mlp(5, 16, 1), batched(40, kinds[which], labels)

    def loss(model, batch):
        return F.binary_cross_entropy_with_logits(model(batch[0]).squeeze(1), batch[1])

    assert causes(examined(model, loss, batches, adam(model)))[:1] == expected


@pytest.mark.parametrize(("named", "expected"), [(False, []), (True, ["loss_wrong"])])
def test_whole_numbers_may_rank_and_not_name(named, expected):
    chance = torch.Generator().manual_seed(2)
    inputs = torch.randn(800, 8, generator=chance)
    if named:
        targets = torch.arange(800) % 5
        inputs = inputs + 4 * torch.randn(5, 8, generator=chance)[targets]
    else:
        targets = inputs[:, 0].argsort().argsort() * 5 // 800
    model = mlp(8, 48, 1)
    batches = batched(32, inputs, targets.float())
    assert causes(examined(model, squares, batches, adam(model)))[:1] == expected


class WithTarget(nn.Module):
    """Two encoders, of which one is only looked at."""

    def __init__(self):
        super().__init__()
        self.learns, self.looked_at = mlp(12, 16, 4), mlp(12, 16, 4)

    def forward(self, inputs):
        with torch.no_grad():
            beside = self.looked_at(inputs)
        return self.learns(inputs) + 0.1 * beside


@pytest.mark.parametrize("all_weights", [True, False])
def test_a_second_network_without_a_gradient_is_meant(all_weights):
    model = WithTarget()
    optimizer = adam(model if all_weights else model.learns)
    assert not causes(examined(model, cross_entropy, clusters(), optimizer))


class Cut(nn.Module):
    """The first layers get no gradient."""

    def __init__(self):
        super().__init__()
        self.first, self.last = mlp(12, 24, 24, 16), nn.Linear(16, 4)

    def forward(self, inputs):
        return self.last(self.first(inputs).relu().detach())


def test_layers_without_a_gradient_are_cut_off():
    model = Cut()
    found = causes(examined(model, cross_entropy, clusters(), adam(model)))
    assert found[:1] == ["no_gradient"]


class Similar(nn.Module):
    """Answers of all examples against all."""

    def __init__(self):
        super().__init__()
        self.one, self.other = nn.Linear(12, 8), nn.Linear(12, 8)

    def forward(self, inputs):
        return self.one(inputs) @ self.other(inputs).T


def test_answers_of_all_with_all_are_no_mixture():
    def loss(model, batch):
        answers = model(batch[0])
        return F.cross_entropy(answers, torch.arange(len(answers)))

    model = Similar()
    report = examined(model, loss, clusters(), adam(model))
    assert "mixed_examples" not in causes(report)
    assert any("another shape" in text for text in report.untested)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_survival_loss_may_turn_the_order_round_and_a_rank_loss_not(sign):
    chance = torch.Generator().manual_seed(4)
    inputs = torch.randn(640, 6, generator=chance)
    times = -torch.rand(640, generator=chance).log() / inputs[:, 0].exp()
    seen = (torch.rand(640, generator=chance) < 0.7).float()

    def cox(model, batch):
        order = batch[1].argsort(descending=True)
        answers = model(batch[0]).squeeze(1)[order]
        return -((answers - answers.logcumsumexp(0)) * batch[2][order]).mean()

    def upside_down(model, batch):  # what is near should be answered higher
        return F.softplus(model(batch[0]).squeeze(1) * (batch[1] - 1)).mean()

    model = mlp(6, 32, 1)
    parts = (inputs, times, seen) if sign > 0 else (inputs, times)
    batches = batched(32, *parts)
    report = examined(model, cox if sign > 0 else upside_down, batches, adam(model))
    assert causes(report)[:1] == ([] if sign > 0 else ["loss_wrong"])


@pytest.mark.parametrize(("strength", "expected"), [(1e-5, []), (3e-2, ["penalty"])])
def test_a_loss_that_is_nearly_all_penalty_is_said(strength, expected):
    def loss(model, batch):
        return cross_entropy(model, batch) + strength * sum(
            p.square().sum() for p in model.parameters()
        )

    model, batches = mlp(12, 128, 128, 128, 4), clusters()
    optimizer = adam(model, 1e-3)
    trained(model, loss, batches, optimizer, 200)
    assert causes(examined(model, loss, batches, optimizer)) == expected


def test_a_fault_is_found_behind_a_rate_that_is_wrong_as_well():
    model = mlp(12, *[24] * 24, 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
    assert "too_deep" in causes(examined(model, cross_entropy, clusters(), optimizer))


def test_two_classes_pull_in_opposite_directions():
    model = mlp(12, 32, 2)
    report = examined(model, cross_entropy, clusters(classes=2), adam(model))
    assert report.measured["cosine_between_classes"] == pytest.approx(-1, abs=1e-3)


def test_a_missing_number_is_found_in_a_late_batch_too():
    batches = [(inputs.clone(), labels) for inputs, labels in clusters(count=1200)]
    batches[70][0][3, 5] = float("nan")
    model = mlp(12, 32, 4)
    report = examined(model, cross_entropy, batches, adam(model))
    assert causes(report) == ["inputs_not_finite"]
    assert "batch 70" in report.findings[0].measured


class Remembering(nn.Module):
    """Keeps a result of its last pass, as variational autoencoders do."""

    def __init__(self):
        super().__init__()
        self.layers = mlp(12, 32, 4)

    def forward(self, inputs):
        self.answers = self.layers(inputs)
        return self.answers


def test_a_model_may_keep_results_of_its_last_pass():
    model, batches = Remembering(), clusters()
    optimizer = adam(model)
    trained(model, cross_entropy, batches, optimizer, 30)
    before = model.answers
    report = examined(model, cross_entropy, batches, optimizer)
    assert not report.findings and model.answers is before


class OwnLoss(nn.Module):
    """Is given the labels, and returns its loss."""

    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Embedding(9, 16), nn.Linear(16, 9)

    def forward(self, words, labels):
        return F.cross_entropy(self.head(self.embed(words)).flatten(0, 1), labels.flatten())


@pytest.mark.parametrize("shifted", [True, False])
def test_labels_given_to_a_model_are_no_inputs_words_as_labels_are(shifted):
    chance = torch.Generator().manual_seed(6)
    words = torch.randint(9, (256, 6), generator=chance)
    labels = (words + 4) % 9 if shifted else words.clone()
    model = OwnLoss()

    def loss(model, batch):
        return model(*batch)

    report = examined(model, loss, batched(16, words, labels), adam(model))
    assert causes(report)[:1] == ([] if shifted else ["labels_shifted"])


def test_counts_that_were_standardised_are_no_counts():
    chance = torch.Generator().manual_seed(7)
    inputs = torch.randn(320, 12, generator=chance)
    targets = inputs[:, 0] + 0.1 * torch.randn(320, generator=chance)
    model = mlp(12, 32, 1)

    def loss(model, batch):
        return F.poisson_nll_loss(model(batch[0]).squeeze(1), batch[1])

    report = examined(model, loss, batched(16, inputs, targets), adam(model))
    assert causes(report)[:1] == ["loss_wrong"]


@pytest.mark.parametrize("other", ["a fresh start", "the given start"])
def test_what_new_weights_repair_is_not_put_down_to_the_optimiser(other):
    layers = [part for _ in range(3) for part in (nn.Linear(12, 12), nn.Sigmoid())]
    model = nn.Sequential(*layers, nn.Linear(12, 4))
    if other == "the given start":
        for p in model.parameters():
            nn.init.uniform_(p, 3, 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
    first = examined(model, cross_entropy, clusters(), optimizer).findings[0]
    assert (first.cause == "initialisation") == (other == "the given start")
    assert first.measured.startswith("its first weights") == (other == "the given start")


def test_a_loss_that_only_compares_labels_is_no_classification():
    def contrast(model, batch):
        codes = F.normalize(model(batch[0]), dim=1)
        alike = (batch[1][:, None] == batch[1]).float().fill_diagonal_(0)
        near = (codes @ codes.T / 0.2).fill_diagonal_(-1e9).log_softmax(1)
        return -(alike * near.clamp(min=-50)).sum(1).div(alike.sum(1).clamp(min=1)).mean()

    model = mlp(12, 32, 8)
    assert not examined(model, contrast, clusters(size=32), adam(model)).findings


def test_a_loss_of_classes_by_hand_is_one_though_the_head_starts_at_zero():
    def by_hand(model, batch):
        return -model(batch[0]).log_softmax(1).gather(1, batch[1][:, None]).mean()

    model = mlp(12, 32, 4)
    nn.init.zeros_(model[-1].weight)
    nn.init.zeros_(model[-1].bias)
    report = examined(model, by_hand, clusters(), adam(model))
    assert not report.findings and report.measured["free_answers_agree"] == 1


def test_a_loss_that_mixes_examples_is_random_and_not_wrong():
    def mixed(model, batch):
        share, other = torch.distributions.Beta(0.3, 0.3).sample(), torch.randperm(len(batch[0]))
        soft = F.one_hot(batch[1], 4).float()
        soft = share * soft + (1 - share) * soft[other]
        answers = model(share * batch[0] + (1 - share) * batch[0][other])
        return -(soft * answers.log_softmax(1)).sum(1).mean()

    model = mlp(12, 32, 4)
    assert not examined(model, mixed, clusters(), adam(model)).findings


def test_answers_far_from_their_targets_do_not_make_the_loss_wrong():
    model = mlp(12, 32, 1)
    with torch.no_grad():
        model[-1].bias.fill_(-250.0)
    batches = [(inputs, inputs[:, 0]) for inputs, _ in clusters()]
    report = examined(model, squares, batches, adam(model))
    assert "loss_wrong" not in causes(report)
