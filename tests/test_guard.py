"""The guard beside a training loop: finds the step that broke, and costs little."""

import warnings

import pytest
import torch
from test_checkup import bits, clusters, cross_entropy, mlp
from torch.nn import functional as F

from course_utils.checkup import Broke, Unsupported, guard


def loop(model, optimizer, loss, batches, watch=None):
    """The plain loop, with or without a guard; the losses."""
    losses = []
    for batch in watch(batches) if watch else batches:
        optimizer.zero_grad()
        value = loss(model, batch)
        value = watch.loss(value) if watch else value
        value.backward()
        optimizer.step()
        losses.append(float(value.detach()))
    return losses


def run(loss=cross_entropy, rate=0.05):
    torch.manual_seed(0)
    model = mlp()
    return model, torch.optim.SGD(model.parameters(), rate, momentum=0.9), loss


def test_a_guarded_run_is_the_run():
    batches = clusters(512, size=8)
    model, optimizer, loss = run()
    alone = loop(model, optimizer, loss, batches), bits(model.state_dict())
    model, optimizer, loss = run()
    watch = guard(model, loss, optimizer)
    assert (loop(model, optimizer, loss, batches, watch), bits(model.state_dict())) == alone
    assert not watch.reports and watch.every > 1


def test_a_root_of_zero_is_found_at_the_step_where_it_happens():
    """The loss is finite there; only its gradient is not, and the next loss shows it."""

    def loss(model, batch):
        distances = ((model(batch[0]) - F.one_hot(batch[1], 4)) * batch[2]).square().sum(1).sqrt()
        return distances.mean()

    batches = [(x, y, torch.ones(len(y), 1)) for x, y in clusters(400, size=8)]
    batches[37][2][3] = 0  # one example weighs nothing: the root of 0 has no slope
    model, optimizer, loss = run(loss)
    with pytest.raises(Broke, match="step 39: the loss is nan") as error:
        loop(model, optimizer, loss, batches, guard(model, loss, optimizer))
    report = error.value.report
    assert report.findings[0].cause == "not_finite"
    assert "gradient" in report.findings[0].measured and "PowB" in report.findings[0].measured
    assert any("before step 38" in note for note in report.notes), report.notes


def test_a_missing_value_in_a_batch_is_found():
    batches = clusters(400, size=8)
    batches[20][0][2, 5] = torch.nan
    model, optimizer, loss = run()
    with pytest.raises(Broke, match="step 21") as error:
        loop(model, optimizer, loss, batches, guard(model, loss, optimizer))
    assert error.value.report.findings[0].cause == "inputs_not_finite"
    assert not any(torch.isnan(p).any() for p in model.parameters())


def test_a_jump_is_reported_once_and_the_loop_goes_on():
    batches = clusters(800, size=8)
    batches[60] = (batches[60][0] * 300, batches[60][1])
    model, optimizer, loss = run(rate=0.001)
    watch = guard(model, loss, optimizer)
    before = torch.get_rng_state()
    with pytest.warns(UserWarning, match="step 61: the loss jumped"):
        losses = loop(model, optimizer, loss, batches, watch)
    assert len(losses) == 100 and len(watch.reports) == 1
    assert torch.equal(torch.get_rng_state(), before)  # this loop draws no random number


def test_a_noisy_loss_is_no_jump():
    model, optimizer, _ = run()
    watch, chance = guard(model, cross_entropy, optimizer), torch.Generator().manual_seed(1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for number in torch.randn(3000, generator=chance).exp().tolist():
            watch.losses.append(number)
            assert not watch.jumps(number)


def test_a_loss_without_a_loop_is_refused_with_a_recipe():
    model, optimizer, loss = run()
    with pytest.raises(Unsupported, match="for batch in g"):
        guard(model, loss, optimizer).loss(float("nan"))
    with pytest.raises(Unsupported, match="optimizer is a str"):
        guard(model, loss, "Adam")
