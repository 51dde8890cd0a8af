"""Sick practice runs whose fault lies in the optimiser, the loop or the schedule."""

import copy

import torch
import torch.nn.functional as F
from torch import nn

from tests.practice import sick_help as h
from tests.practice.sick_model import images_of, pair_loss


def triple_loss(model, x, y):
    """Cross-entropy with the pair taken apart."""
    return F.cross_entropy(model(x), y)


def dict_loss(model, batch):
    """Cross-entropy of a batch that is a dict."""
    return F.cross_entropy(model(batch["inputs"]), batch["labels"])


def square_loss(model, batch):
    """Squared error of a batch that is a pair."""
    return F.mse_loss(model(batch[0]), batch[1])


# --------------------------------------------------------------------------------- learning rate


def digits_rate_of_five(seed, fault=True):
    """SGD with lr=5, half way."""
    inputs, labels, test_inputs, test_labels = h.digits(seed, 800)
    torch.manual_seed(seed)
    model = h.dense(64, 48, 24, 10)
    return h.hand_over(
        model,
        pair_loss,
        h.pairs(inputs, labels, 20, seed),
        torch.optim.SGD(model.parameters(), lr=5.0 if fault else 0.1, momentum=0.5),
        epochs=10,
        done=5,
        score=h.accuracy(test_inputs, test_labels),
        target=0.85,
    )


def recall_adam_of_two(seed, fault=True):
    """GRU with Adam at lr=2.0, at the end."""
    signs, labels, test_signs, test_labels = h.recall(seed, 500)
    torch.manual_seed(seed)
    model = h.Reader(6, 12, 6)
    return h.hand_over(
        model,
        dict_loss,
        h.dicts(signs, labels, 20, seed),
        torch.optim.Adam(model.parameters(), lr=2.0 if fault else 0.01),
        epochs=10,
        done=10,
        score=h.accuracy(test_signs, test_labels),
        target=0.9,
    )


def spirals_adam_of_three(seed, fault=True):
    """Adam at lr=3 on the spirals, at the start."""
    inputs, labels, test_inputs, test_labels = h.spirals(seed)
    torch.manual_seed(seed)
    model = h.dense(2, 32, 32, 2)
    return h.hand_over(
        model,
        triple_loss,
        h.loader(inputs, labels, 30, seed),
        torch.optim.Adam(model.parameters(), lr=3.0 if fault else 0.01),
        epochs=60,
        score=h.accuracy(test_inputs, test_labels),
        target=0.92,
    )


def digits_rate_tiny(seed, fault=True):
    """SGD with lr=1e-5 for a small CNN, half way."""
    images, labels, test_images, test_labels = images_of(seed, 500)
    torch.manual_seed(seed)
    model = h.convolutional()
    return h.hand_over(
        model,
        triple_loss,
        h.pairs(images, labels, 20, seed),
        torch.optim.SGD(model.parameters(), lr=1e-5 if fault else 0.05, momentum=0.9),
        epochs=8,
        done=4,
        score=h.accuracy(test_images, test_labels),
        target=0.8,
    )


def forecast_decays_per_batch(seed, fault=True):
    """StepLR meant to be stepped once an epoch is stepped after each batch, half way."""
    inputs, targets, test_inputs, test_targets = h.series(seed, 400)
    torch.manual_seed(seed)
    model = h.Forecaster()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    batches = h.pairs(inputs, targets, 20, seed)
    every = 10 if fault else 10 * len(batches)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, every, gamma=0.1)

    def step(model, optimizer, batch):
        optimizer.zero_grad()
        square_loss(model, batch).backward()
        optimizer.step()
        scheduler.step()

    return h.hand_over(
        model,
        square_loss,
        batches,
        optimizer,
        step,
        epochs=14,
        done=7,
        score=h.explained(test_inputs, test_targets),
        target=0.9,
    )


def recall_decays_at_once(seed, fault=True):
    """ExponentialLR with gamma=0.5 per batch, after the first epoch."""
    signs, labels, test_signs, test_labels = h.recall(seed, 500)
    torch.manual_seed(seed)
    model = h.Reader(6, 12, 6)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5 if fault else 0.998)

    def step(model, optimizer, batch):
        loss = dict_loss(model, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()

    return h.hand_over(
        model,
        dict_loss,
        h.dicts(signs, labels, 20, seed),
        optimizer,
        step,
        epochs=10,
        done=1,
        score=h.accuracy(test_signs, test_labels),
        target=0.9,
    )


def friedman_endless_warm_up(seed, fault=True):
    """Warm-up over a million steps, copied from a large model, at the end."""
    inputs, targets, test_inputs, test_targets = h.friedman(seed)
    torch.manual_seed(seed)
    model = h.dense(5, 32, 32, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    length = 1_000_000 if fault else 50
    warm_up = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: min(1.0, (n + 1) / length))

    def step(model, optimizer, batch):
        optimizer.zero_grad()
        square_loss(model, batch).backward()
        optimizer.step()
        warm_up.step()

    return h.hand_over(
        model,
        square_loss,
        h.pairs(inputs, targets, 25, seed),
        optimizer,
        step,
        epochs=25,
        done=25,
        score=h.explained(test_inputs, test_targets),
        target=0.8,
    )


def digits_update_by_hand(seed, fault=True):
    """Update by hand that adds the gradient instead of subtracting it, half way."""
    inputs, labels, test_inputs, test_labels = h.digits(seed, 700)
    torch.manual_seed(seed)
    model = h.dense(64, 32, 10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(model, optimizer, batch):
        model.zero_grad()
        pair_loss(model, batch).backward()
        with torch.no_grad():
            for parameter in model.parameters():
                if fault:
                    parameter += 0.1 * parameter.grad
                else:
                    parameter -= 0.1 * parameter.grad

    return h.hand_over(
        model,
        pair_loss,
        h.pairs(inputs, labels, 20, seed),
        optimizer,
        step,
        epochs=10,
        done=5,
        score=h.accuracy(test_inputs, test_labels),
        target=0.85,
    )


def curve_schedule_below_zero(seed, fault=True):
    """A linear decay that goes on below zero: the rate has just turned negative."""
    inputs, targets, test_inputs, test_targets = h.curve(seed)
    torch.manual_seed(seed)
    model = h.dense(1, 32, 32, 1, activation=nn.Tanh)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    whole = 100 if fault else 800
    decay = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda count: 1 - count / whole)

    def step(model, optimizer, batch):
        optimizer.zero_grad()
        square_loss(model, batch).backward()
        optimizer.step()
        decay.step()

    return h.hand_over(
        model,
        square_loss,
        h.pairs(inputs, targets, 20, seed),
        optimizer,
        step,
        epochs=35,
        done=6,
        score=h.explained(test_inputs, test_targets),
        target=0.8,
    )


def digits_whole_number_schedule(seed, fault=True):
    """epoch // warm_up is 0 in a schedule: the rate is zero throughout, half way."""
    inputs, labels, test_inputs, test_labels = h.digits(seed, 700)
    batches = h.pairs(inputs, labels, 20, seed)
    torch.manual_seed(seed)
    model = h.dense(64, 32, 10)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    count = [0]

    def step(model, optimizer, batch):
        epoch = count[0] // len(batches)
        count[0] += 1
        factor = (epoch + 1) // 20 if fault else min(1, (epoch + 1) / 3)
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * factor
        optimizer.zero_grad()
        pair_loss(model, batch).backward()
        optimizer.step()

    return h.hand_over(
        model,
        pair_loss,
        batches,
        optimizer,
        step,
        epochs=10,
        done=5,
        score=h.accuracy(test_inputs, test_labels),
        target=0.85,
    )


def reviews_rate_from_settings(seed, fault=True):
    """The rate was read from a settings file as a whole number: lr=0, at the start."""
    words, labels, test_words, test_labels = h.reviews(seed, 400)
    torch.manual_seed(seed)
    model = h.Reader()
    rate = float("0.01")
    return h.hand_over(
        model,
        triple_loss,
        h.pairs(words, labels, 20, seed),
        torch.optim.Adam(model.parameters(), lr=int(rate) if fault else rate),
        epochs=10,
        score=h.accuracy(test_words, test_labels),
        target=0.85,
    )


# ------------------------------------------------------------------------------------- optimiser


def digits_momentum_too_large(seed, fault=True):
    """SGD with momentum 0.999 and the rate meant for none, at the end."""
    inputs, labels, test_inputs, test_labels = h.digits(seed, 700)
    torch.manual_seed(seed)
    model = h.dense(64, 32, 32, 10)
    return h.hand_over(
        model,
        pair_loss,
        h.pairs(inputs, labels, 20, seed),
        torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.999 if fault else 0.5),
        epochs=8,
        done=8,
        score=h.accuracy(test_inputs, test_labels),
        target=0.7,
    )


def curve_momentum_too_large(seed, fault=True):
    """Regression with SGD, Nesterov and momentum 0.9995, early."""
    inputs, targets, test_inputs, test_targets = h.curve(seed)
    torch.manual_seed(seed)
    model = h.dense(1, 32, 32, 1, activation=nn.Tanh)
    momentum = 0.9995 if fault else 0.9
    return h.hand_over(
        model,
        square_loss,
        h.pairs(inputs, targets, 20, seed),
        torch.optim.SGD(model.parameters(), lr=0.06, momentum=momentum, nesterov=True),
        epochs=40,
        done=2,
        score=h.explained(test_inputs, test_targets),
        target=0.8,
    )


def digits_decay_of_one(seed, fault=True):
    """Adam with weight_decay=1, half way."""
    images, labels, test_images, test_labels = images_of(seed, 500)
    torch.manual_seed(seed)
    model = h.convolutional()
    return h.hand_over(
        model,
        dict_loss,
        h.dicts(images, labels, 20, seed),
        torch.optim.Adam(model.parameters(), lr=3e-3, weight_decay=1.0 if fault else 1e-4),
        epochs=8,
        done=4,
        score=h.accuracy(test_images, test_labels),
        target=0.8,
    )


def recall_decay_of_fifty(seed, fault=True):
    """AdamW with weight_decay=50, at the end."""
    signs, labels, test_signs, test_labels = h.recall(seed, 500)
    torch.manual_seed(seed)
    model = h.Reader(6, 12, 6)
    return h.hand_over(
        model,
        pair_loss,
        h.loader(signs, labels, 20, seed),
        torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=50.0 if fault else 0.01),
        epochs=10,
        done=10,
        score=h.accuracy(test_signs, test_labels),
        target=0.9,
    )


def digits_eps_of_ten(seed, fault=True):
    """Adam with eps=10, at the end."""
    inputs, labels, test_inputs, test_labels = h.digits(seed, 700)
    torch.manual_seed(seed)
    model = h.dense(64, 32, 10)
    return h.hand_over(
        model,
        pair_loss,
        h.pairs(inputs, labels, 20, seed),
        torch.optim.Adam(model.parameters(), lr=2e-3, eps=10.0 if fault else 1e-8),
        epochs=10,
        done=10,
        score=h.accuracy(test_inputs, test_labels),
        target=0.85,
    )


def spirals_betas_swapped(seed, fault=True):
    """Adam with betas=(0.999, 0.1): the two are taken for each other, half way."""
    inputs, labels, test_inputs, test_labels = h.spirals(seed)
    betas = (0.9995, 0.1) if fault else (0.9, 0.999)
    torch.manual_seed(seed)
    model = h.dense(2, 32, 32, 2)
    return h.hand_over(
        model,
        triple_loss,
        h.pairs(inputs, labels, 30, seed),
        torch.optim.Adam(model.parameters(), lr=0.01, betas=betas),
        epochs=60,
        done=30,
        score=h.accuracy(test_inputs, test_labels),
        target=0.85,
    )


def friedman_adagrad_dies(seed, fault=True):
    """Adagrad with lr_decay=1: the rate falls as one over the steps, at the end."""
    inputs, targets, test_inputs, test_targets = h.friedman(seed)
    torch.manual_seed(seed)
    model = h.dense(5, 32, 32, 1)
    return h.hand_over(
        model,
        square_loss,
        h.pairs(inputs, targets, 25, seed),
        torch.optim.Adagrad(model.parameters(), lr=0.03, lr_decay=1.0 if fault else 0.0),
        epochs=30,
        done=30,
        score=h.explained(test_inputs, test_targets),
        target=0.8,
    )


def spirals_head_only(seed, fault=True):
    """The optimiser has got the parameters of the head only, at the end."""
    inputs, labels, test_inputs, test_labels = h.spirals(seed)
    torch.manual_seed(seed)
    model = nn.Sequential()
    model.add_module("body", h.dense(2, 16, 16, 16))
    model.add_module("active", nn.ReLU())
    model.add_module("head", nn.Linear(16, 2))
    parameters = model.head.parameters() if fault else model.parameters()
    return h.hand_over(
        model,
        pair_loss,
        h.pairs(inputs, labels, 30, seed),
        torch.optim.Adam(parameters, lr=0.01),
        epochs=70,
        done=70,
        score=h.accuracy(test_inputs, test_labels),
        target=0.85,
    )


def recall_last_group_only(seed, fault=True):
    """Groups of parameters written into the same name: only the embedding is left, half way."""
    signs, labels, test_signs, test_labels = h.recall(seed, 500)
    torch.manual_seed(seed)
    model = h.Reader(6, 12, 6)
    groups = [{"params": model.head.parameters()}, {"params": model.recurrent.parameters()}]
    if fault:
        groups = []
    groups.append({"params": model.embedding.parameters(), "lr": 0.005})
    return h.hand_over(
        model,
        pair_loss,
        h.pairs(signs, labels, 20, seed),
        torch.optim.Adam(groups, lr=0.01),
        epochs=12,
        done=6,
        score=h.accuracy(test_signs, test_labels),
        target=0.9,
    )


def digits_backbone_frozen(seed, fault=True):
    """An untrained body is frozen as though it were pretrained, half way."""
    images, labels, test_images, test_labels = images_of(seed, 600)
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(1, 3, 3, stride=2),
        nn.Tanh(),
        nn.Conv2d(3, 4, 2),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(16, 10),
    )
    if fault:
        for parameter in model[:-1].parameters():
            parameter.requires_grad = False
    return h.hand_over(
        model,
        triple_loss,
        h.pairs(images, labels, 20, seed),
        torch.optim.Adam([one for one in model.parameters() if one.requires_grad], lr=0.01),
        epochs=15,
        done=7,
        score=h.accuracy(test_images, test_labels),
        target=0.8,
    )


def forecast_lstm_frozen(seed, fault=True):
    """requires_grad_(False) left over from another stage: only the head learns, at the end."""
    inputs, targets, test_inputs, test_targets = h.series(seed, 400)
    torch.manual_seed(seed)
    model = h.Forecaster(8)
    if fault:
        model.lstm.requires_grad_(False)
        model.head.weight.requires_grad_(False)
    return h.hand_over(
        model,
        square_loss,
        h.pairs(inputs, targets, 20, seed),
        torch.optim.Adam(model.parameters(), lr=0.01),
        epochs=15,
        done=15,
        score=h.explained(test_inputs, test_targets),
        target=0.85,
    )


def digits_other_net(seed, fault=True):
    """The optimiser was made for a net that was built anew afterwards, half way."""
    inputs, labels, test_inputs, test_labels = h.digits(seed, 700)
    torch.manual_seed(seed)
    model = h.dense(64, 32, 10)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    if fault:
        model = h.dense(64, 32, 10)
    return h.hand_over(
        model,
        dict_loss,
        h.dicts(inputs, labels, 20, seed),
        optimizer,
        epochs=8,
        done=4,
        score=h.accuracy(test_inputs, test_labels),
        target=0.85,
    )


def recall_copy_is_trained(seed, fault=True):
    """The optimiser holds the parameters of the deep copy kept as the best net, at the end."""
    signs, labels, test_signs, test_labels = h.recall(seed, 500)
    torch.manual_seed(seed)
    model = h.Reader(6, 12, 6)
    best = copy.deepcopy(model)
    return h.hand_over(
        model,
        triple_loss,
        h.pairs(signs, labels, 20, seed),
        torch.optim.Adam((best if fault else model).parameters(), lr=0.01),
        epochs=10,
        done=10,
        score=h.accuracy(test_signs, test_labels),
        target=0.9,
    )


def wine_fresh_net_each_step(seed, fault=True):
    """The step builds net and optimiser anew each time, at the end."""
    inputs, labels, test_inputs, test_labels = h.table("wine", seed)
    inputs, test_inputs = h.standardised(inputs, test_inputs)
    torch.manual_seed(seed)
    model = h.dense(13, 16, 3)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

    def step(model, optimizer, batch):
        if fault:
            model = h.dense(13, 16, 3)
            optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        optimizer.zero_grad()
        pair_loss(model, batch).backward()
        optimizer.step()

    return h.hand_over(
        model,
        pair_loss,
        h.pairs(inputs, labels, 20, seed),
        optimizer,
        step,
        epochs=20,
        done=20,
        score=h.accuracy(test_inputs, test_labels),
        target=0.9,
    )


# ------------------------------------------------------------------------------------------ loop


def digits_gradients_pile_up(seed, fault=True):
    """No zero_grad anywhere, SGD, half way."""
    images, labels, test_images, test_labels = images_of(seed, 500)
    torch.manual_seed(seed)
    model = h.convolutional()

    def step(model, optimizer, batch):
        if not fault:
            optimizer.zero_grad()
        pair_loss(model, batch).backward()
        optimizer.step()

    return h.hand_over(
        model,
        pair_loss,
        h.pairs(images, labels, 20, seed),
        torch.optim.SGD(model.parameters(), lr=0.2),
        step,
        epochs=10,
        done=5,
        score=h.accuracy(test_images, test_labels),
        target=0.8,
    )


def friedman_zeroed_once_an_epoch(seed, fault=True):
    """zero_grad stands in the loop over the epochs, not over the batches, early."""
    inputs, targets, test_inputs, test_targets = h.friedman(seed)
    batches = h.pairs(inputs, targets, 10, seed)
    torch.manual_seed(seed)
    model = h.dense(5, 32, 32, 1)
    count = [0]

    def step(model, optimizer, batch):
        if not fault or count[0] % len(batches) == 0:
            optimizer.zero_grad()
        count[0] += 1
        square_loss(model, batch).backward()
        optimizer.step()

    return h.hand_over(
        model,
        square_loss,
        batches,
        torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.5),
        step,
        epochs=20,
        done=3,
        score=h.explained(test_inputs, test_targets),
        target=0.8,
    )


def digits_accumulation_never_full(seed, fault=True):
    """Steps only when a counter that restarts in each batch reaches four: never, half way."""
    inputs, labels, test_inputs, test_labels = h.digits(seed, 700)
    torch.manual_seed(seed)
    model = h.dense(64, 32, 10)
    outside = [0]

    def step(model, optimizer, batch):
        count = [0] if fault else outside
        (pair_loss(model, batch) / 2).backward()
        count[0] += 1
        if count[0] % 2 == 0:
            optimizer.step()
            optimizer.zero_grad()

    return h.hand_over(
        model,
        pair_loss,
        h.pairs(inputs, labels, 10, seed),
        torch.optim.Adam(model.parameters(), lr=3e-3),
        step,
        epochs=10,
        done=5,
        score=h.accuracy(test_inputs, test_labels),
        target=0.85,
    )


def reviews_zeroed_before_step(seed, fault=True):
    """zero_grad stands between backward and step, at the end."""
    words, labels, test_words, test_labels = h.reviews(seed, 400)
    torch.manual_seed(seed)
    model = h.Attentive()

    def step(model, optimizer, batch):
        model.train()
        if not fault:
            optimizer.zero_grad()
        dict_loss(model, batch).backward()
        if fault:
            optimizer.zero_grad()
        optimizer.step()

    return h.hand_over(
        model,
        dict_loss,
        h.dicts(words, labels, 20, seed),
        torch.optim.Adam(model.parameters(), lr=3e-3),
        step,
        epochs=10,
        done=10,
        score=h.accuracy(test_words, test_labels),
        target=0.8,
    )


def curve_only_backward(seed, fault=True):
    """optimizer.step() was forgotten, at the start."""
    inputs, targets, test_inputs, test_targets = h.curve(seed)
    torch.manual_seed(seed)
    model = h.dense(1, 32, 32, 1)

    def step(model, optimizer, batch):
        optimizer.zero_grad()
        loss = square_loss(model, batch)
        loss.backward()
        if not fault:
            optimizer.step()

    return h.hand_over(
        model,
        square_loss,
        h.pairs(inputs, targets, 20, seed),
        torch.optim.Adam(model.parameters(), lr=5e-3),
        step,
        epochs=25,
        score=h.explained(test_inputs, test_targets),
        target=0.8,
    )


def digits_clipped_to_nothing(seed, fault=True):
    """clip_grad_norm_ with 1e-5 and SGD, half way."""
    inputs, labels, test_inputs, test_labels = h.digits(seed, 700)
    torch.manual_seed(seed)
    model = h.dense(64, 32, 10)

    def step(model, optimizer, batch):
        optimizer.zero_grad()
        pair_loss(model, batch).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1e-5 if fault else 5.0)
        optimizer.step()

    return h.hand_over(
        model,
        pair_loss,
        h.loader(inputs, labels, 20, seed),
        torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9),
        step,
        epochs=8,
        done=4,
        score=h.accuracy(test_inputs, test_labels),
        target=0.85,
    )


def forecast_clipped_one_side(seed, fault=True):
    """Each gradient is clamped to [0, 1] instead of [-1, 1], at the end."""
    inputs, targets, test_inputs, test_targets = h.series(seed, 300)
    torch.manual_seed(seed)
    model = h.Forecaster()

    def step(model, optimizer, batch):
        optimizer.zero_grad()
        square_loss(model, batch).backward()
        for parameter in model.parameters():
            parameter.grad.clamp_(0.0 if fault else -1.0, 1.0)
        optimizer.step()

    return h.hand_over(
        model,
        square_loss,
        h.pairs(inputs, targets, 20, seed),
        torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9),
        step,
        epochs=12,
        done=12,
        score=h.explained(test_inputs, test_targets),
        target=0.85,
    )


def friedman_clipped_values(seed, fault=True):
    """clip_grad_value_ with 1e-6 and SGD, at the start."""
    inputs, targets, test_inputs, test_targets = h.friedman(seed)
    torch.manual_seed(seed)
    model = h.dense(5, 32, 32, 1)

    def step(model, optimizer, batch):
        optimizer.zero_grad(set_to_none=True)
        square_loss(model, batch).backward()
        torch.nn.utils.clip_grad_value_(model.parameters(), 1e-6 if fault else 1.0)
        optimizer.step()

    return h.hand_over(
        model,
        square_loss,
        h.pairs(inputs, targets, 20, seed),
        torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9),
        step,
        epochs=20,
        score=h.explained(test_inputs, test_targets),
        target=0.8,
    )


def cancer_maximised(seed, fault=True):
    """maximize=True left over from a policy gradient, half way."""
    inputs, labels, test_inputs, test_labels = h.table("cancer", seed)
    inputs, test_inputs = h.standardised(inputs, test_inputs)
    torch.manual_seed(seed)
    model = h.dense(30, 16, 2)
    return h.hand_over(
        model,
        pair_loss,
        h.pairs(inputs, labels, 32, seed),
        torch.optim.Adam(model.parameters(), lr=5e-3, maximize=fault),
        epochs=12,
        done=6,
        score=h.balanced_accuracy(test_inputs, test_labels),
        target=0.9,
    )


def recall_minus_in_step(seed, fault=True):
    """(-loss).backward() in the step, though the loss is a true loss, at the start."""
    signs, labels, test_signs, test_labels = h.recall(seed, 500)
    torch.manual_seed(seed)
    model = h.Reader(6, 12, 6)

    def step(model, optimizer, batch):
        optimizer.zero_grad()
        loss = pair_loss(model, batch)
        (-loss if fault else loss).backward()
        optimizer.step()

    return h.hand_over(
        model,
        pair_loss,
        h.pairs(signs, labels, 20, seed),
        torch.optim.Adam(model.parameters(), lr=0.01),
        step,
        epochs=10,
        score=h.accuracy(test_signs, test_labels),
        target=0.9,
    )


def digits_always_in_eval(seed, fault=True):
    """model.eval() before the loop: a deep CNN whose batch norms don't normalise, half way."""
    images, labels, test_images, test_labels = images_of(seed, 400)
    torch.manual_seed(seed)
    layers = [nn.Conv2d(1, 8, 3, padding=1, stride=2), nn.BatchNorm2d(8), nn.ReLU()]
    for _ in range(9):
        layers += [nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(128, 10))

    def step(model, optimizer, batch):
        model.train(not fault)
        optimizer.zero_grad()
        pair_loss(model, batch).backward()
        optimizer.step()

    return h.hand_over(
        model,
        pair_loss,
        h.pairs(images, labels, 20, seed),
        torch.optim.SGD(model.parameters(), lr=0.05),
        step,
        epochs=10,
        done=5,
        score=h.accuracy(test_images, test_labels),
        target=0.7,
    )


def cancer_eval_left_on(seed, fault=True):
    """Evaluation sets eval() and nobody sets train(): batch norm does nothing, at the end."""
    inputs, labels, test_inputs, test_labels = h.table("cancer", seed)
    inputs, test_inputs = h.standardised(inputs, test_inputs)
    torch.manual_seed(seed)
    layers = []
    for place in range(12):
        layers += [nn.Linear(16 if place else 30, 16), nn.BatchNorm1d(16), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Linear(16, 2))
    if fault:
        model.eval()

    def step(model, optimizer, batch):
        if not fault:
            model.train()
        optimizer.zero_grad()
        dict_loss(model, batch).backward()
        optimizer.step()

    return h.hand_over(
        model,
        dict_loss,
        h.dicts(inputs, labels, 32, seed),
        torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9),
        step,
        epochs=12,
        done=12,
        score=h.balanced_accuracy(test_inputs, test_labels),
        target=0.85,
    )


# ---------------------------------------------------------------------------------- train longer


def digits_one_epoch(seed, fault=True):
    """One epoch of a healthy run, and that was all, at its end."""
    inputs, labels, test_inputs, test_labels = h.digits(seed, 800)
    torch.manual_seed(seed)
    model = h.dense(64, 32, 10)
    epochs = 1 if fault else 12
    return h.hand_over(
        model,
        pair_loss,
        h.pairs(inputs, labels, 20, seed),
        torch.optim.SGD(model.parameters(), lr=0.1),
        epochs=epochs,
        done=epochs,
        score=h.accuracy(test_inputs, test_labels),
        target=0.85,
    )


def recall_two_epochs(seed, fault=True):
    """GRU stopped after two epochs, when the loss had just begun to fall."""
    signs, labels, test_signs, test_labels = h.recall(seed, 600)
    torch.manual_seed(seed)
    model = h.Reader(6, 12, 6)
    epochs = 2 if fault else 15
    return h.hand_over(
        model,
        dict_loss,
        h.dicts(signs, labels, 20, seed),
        torch.optim.Adam(model.parameters(), lr=5e-3),
        epochs=epochs,
        done=epochs,
        score=h.accuracy(test_signs, test_labels),
        target=0.9,
    )


def spirals_stopped_early(seed, fault=True):
    """Early stopping with a patience of nothing: three epochs of the seventy it takes."""
    inputs, labels, test_inputs, test_labels = h.spirals(seed)
    torch.manual_seed(seed)
    model = h.dense(2, 32, 32, 2)
    epochs = 3 if fault else 70
    return h.hand_over(
        model,
        triple_loss,
        h.pairs(inputs, labels, 30, seed),
        torch.optim.Adam(model.parameters(), lr=5e-3),
        epochs=epochs,
        done=epochs,
        score=h.accuracy(test_inputs, test_labels),
        target=0.85,
    )


def reviews_two_epochs(seed, fault=True):
    """Transformer trained from nothing for the two epochs that suffice for fine-tuning."""
    words, labels, test_words, test_labels = h.reviews(seed, 400)
    torch.manual_seed(seed)
    model = h.Attentive()
    epochs = 2 if fault else 12
    return h.hand_over(
        model,
        pair_loss,
        h.loader(words, labels, 25, seed),
        torch.optim.AdamW(model.parameters(), lr=2e-3),
        epochs=epochs,
        done=epochs,
        score=h.accuracy(test_words, test_labels),
        target=0.85,
    )


# ------------------------------------------------------------------------------------ two faults


def digits_stale_and_unscaled(seed, faults=("stale_gradients", "input_scale")):
    """No zero_grad, and pixels from 0 to 1600, half way."""
    inputs, labels, test_inputs, test_labels = h.digits(seed, 600)
    if "input_scale" in faults:
        inputs, test_inputs = inputs * 1600, test_inputs * 1600
    torch.manual_seed(seed)
    model = h.dense(64, 32, 32, 10)

    def step(model, optimizer, batch):
        if "stale_gradients" not in faults:
            optimizer.zero_grad()
        pair_loss(model, batch).backward()
        optimizer.step()

    return h.hand_over(
        model,
        pair_loss,
        h.pairs(inputs, labels, 20, seed),
        torch.optim.SGD(model.parameters(), lr=0.2),
        step,
        epochs=10,
        done=5,
        score=h.accuracy(test_inputs, test_labels),
        target=0.85,
    )


def spirals_small_and_short(seed, faults=("capacity", "train_longer")):
    """Two hidden units, and three epochs, at the end."""
    inputs, labels, test_inputs, test_labels = h.spirals(seed)
    width = 2 if "capacity" in faults else 32
    epochs = 3 if "train_longer" in faults else 70
    torch.manual_seed(seed)
    model = h.dense(2, width, width, 2)
    return h.hand_over(
        model,
        triple_loss,
        h.pairs(inputs, labels, 30, seed),
        torch.optim.Adam(model.parameters(), lr=5e-3),
        epochs=epochs,
        done=epochs,
        score=h.accuracy(test_inputs, test_labels),
        target=0.85,
    )


def recall_zero_and_foreign(seed, faults=("initialisation", "foreign_optimiser")):
    """All weights zero, and the optimiser belongs to another net, at the end."""
    signs, labels, test_signs, test_labels = h.recall(seed, 500)
    torch.manual_seed(seed)
    model = h.Reader(6, 12, 6)
    if "initialisation" in faults:
        for parameter in model.parameters():
            nn.init.zeros_(parameter)
    other = copy.deepcopy(model) if "foreign_optimiser" in faults else model
    return h.hand_over(
        model,
        pair_loss,
        h.pairs(signs, labels, 20, seed),
        torch.optim.Adam(other.parameters(), lr=0.01),
        epochs=10,
        done=10,
        score=h.accuracy(test_signs, test_labels),
        target=0.9,
    )


def digits_clipped_and_one_batch(seed, faults=("clipping", "same_batch")):
    """Gradients clipped to 1e-5, and each batch is the first one, half way."""
    inputs, labels, test_inputs, test_labels = h.digits(seed, 700)
    batches = h.pairs(inputs, labels, 14, seed)
    if "same_batch" in faults:
        batches = batches[:1] * len(batches)
    torch.manual_seed(seed)
    model = h.dense(64, 32, 10)

    def step(model, optimizer, batch):
        optimizer.zero_grad()
        pair_loss(model, batch).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1e-5 if "clipping" in faults else 5.0)
        optimizer.step()

    return h.hand_over(
        model,
        pair_loss,
        batches,
        torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.5),
        step,
        epochs=8,
        done=4,
        score=h.accuracy(test_inputs, test_labels),
        target=0.85,
    )


def cancer_ignored_and_maximised(seed, faults=("ignored_labels", "uphill")):
    """The second class is ignored by the loss, and maximize=True, at the start."""
    inputs, labels, test_inputs, test_labels = h.table("cancer", seed)
    inputs, test_inputs = h.standardised(inputs, test_inputs)
    torch.manual_seed(seed)
    model = h.dense(30, 16, 2)
    criterion = nn.CrossEntropyLoss(ignore_index=1 if "ignored_labels" in faults else -100)

    def loss(model, batch):
        return criterion(model(batch[0]), batch[1])

    return h.hand_over(
        model,
        loss,
        h.pairs(inputs, labels, 32, seed),
        torch.optim.Adam(model.parameters(), lr=5e-3, maximize="uphill" in faults),
        epochs=12,
        score=h.balanced_accuracy(test_inputs, test_labels),
        target=0.9,
    )


def digits_batch_and_eps(seed, faults=("batch_too_large", "optimiser_settings")):
    """All images in one batch, and Adam with eps=1, at the end."""
    images, labels, test_images, test_labels = images_of(seed, 500)
    torch.manual_seed(seed)
    model = h.convolutional()
    eps = 1.0 if "optimiser_settings" in faults else 1e-8
    return h.hand_over(
        model,
        triple_loss,
        h.pairs(images, labels, 500 if "batch_too_large" in faults else 20, seed),
        torch.optim.Adam(model.parameters(), lr=2e-3, eps=eps),
        epochs=10,
        done=10,
        score=h.accuracy(test_images, test_labels),
        target=0.8,
    )


SICK = {
    "digits_rate_of_five": (digits_rate_of_five, ("rate_high",), "optimiser"),
    "recall_adam_of_two": (recall_adam_of_two, ("rate_high",), "optimiser"),
    "spirals_adam_of_three": (spirals_adam_of_three, ("rate_high",), "optimiser"),
    "digits_rate_tiny": (digits_rate_tiny, ("rate_low",), "optimiser"),
    "forecast_decays_per_batch": (
        forecast_decays_per_batch,
        ("rate_low", "rate_zero"),
        "optimiser",
    ),
    "recall_decays_at_once": (recall_decays_at_once, ("rate_low", "rate_zero"), "optimiser"),
    "friedman_endless_warm_up": (friedman_endless_warm_up, ("rate_low",), "optimiser"),
    "digits_update_by_hand": (digits_update_by_hand, ("uphill", "rate_sign"), "loop"),
    "curve_schedule_below_zero": (
        curve_schedule_below_zero,
        ("rate_sign", "uphill"),
        "optimiser",
    ),
    "digits_whole_number_schedule": (
        digits_whole_number_schedule,
        ("rate_zero", "no_step"),
        "optimiser",
    ),
    "reviews_rate_from_settings": (reviews_rate_from_settings, ("rate_zero",), "optimiser"),
    "digits_momentum_too_large": (
        digits_momentum_too_large,
        ("momentum", "rate_high"),
        "optimiser",
    ),
    "curve_momentum_too_large": (
        curve_momentum_too_large,
        ("momentum", "rate_high"),
        "optimiser",
    ),
    "digits_decay_of_one": (digits_decay_of_one, ("weight_decay",), "optimiser"),
    "recall_decay_of_fifty": (recall_decay_of_fifty, ("weight_decay",), "optimiser"),
    "digits_eps_of_ten": (digits_eps_of_ten, ("optimiser_settings", "rate_low"), "optimiser"),
    "spirals_betas_swapped": (
        spirals_betas_swapped,
        ("optimiser_settings", "momentum"),
        "optimiser",
    ),
    "friedman_adagrad_dies": (
        friedman_adagrad_dies,
        ("optimiser_settings", "rate_low"),
        "optimiser",
    ),
    "spirals_head_only": (spirals_head_only, ("missing_parameters",), "optimiser"),
    "recall_last_group_only": (recall_last_group_only, ("missing_parameters",), "optimiser"),
    "digits_backbone_frozen": (
        digits_backbone_frozen,
        ("frozen", "missing_parameters"),
        "optimiser",
    ),
    "forecast_lstm_frozen": (forecast_lstm_frozen, ("frozen",), "optimiser"),
    "digits_other_net": (
        digits_other_net,
        ("foreign_optimiser", "missing_parameters"),
        "optimiser",
    ),
    "recall_copy_is_trained": (
        recall_copy_is_trained,
        ("foreign_optimiser", "missing_parameters"),
        "optimiser",
    ),
    "wine_fresh_net_each_step": (
        wine_fresh_net_each_step,
        ("no_step", "foreign_optimiser"),
        "loop",
    ),
    "digits_gradients_pile_up": (digits_gradients_pile_up, ("stale_gradients",), "loop"),
    "friedman_zeroed_once_an_epoch": (
        friedman_zeroed_once_an_epoch,
        ("stale_gradients",),
        "loop",
    ),
    "digits_accumulation_never_full": (
        digits_accumulation_never_full,
        ("no_step", "stale_gradients"),
        "loop",
    ),
    "reviews_zeroed_before_step": (reviews_zeroed_before_step, ("no_step",), "loop"),
    "curve_only_backward": (curve_only_backward, ("no_step",), "loop"),
    "digits_clipped_to_nothing": (digits_clipped_to_nothing, ("clipping",), "loop"),
    "forecast_clipped_one_side": (forecast_clipped_one_side, ("clipping",), "loop"),
    "friedman_clipped_values": (friedman_clipped_values, ("clipping",), "loop"),
    "cancer_maximised": (cancer_maximised, ("uphill", "rate_sign"), "optimiser"),
    "recall_minus_in_step": (recall_minus_in_step, ("uphill", "rate_sign"), "loop"),
    "digits_always_in_eval": (digits_always_in_eval, ("eval_mode", "batchnorm"), "loop"),
    "cancer_eval_left_on": (cancer_eval_left_on, ("eval_mode", "batchnorm"), "loop"),
    "digits_one_epoch": (digits_one_epoch, ("train_longer",), "loop"),
    "recall_two_epochs": (recall_two_epochs, ("train_longer",), "loop"),
    "spirals_stopped_early": (spirals_stopped_early, ("train_longer",), "loop"),
    "reviews_two_epochs": (reviews_two_epochs, ("train_longer",), "loop"),
    "digits_stale_and_unscaled": (
        digits_stale_and_unscaled,
        ("stale_gradients", "input_scale"),
        "inputs",
    ),
    "spirals_small_and_short": (
        spirals_small_and_short,
        ("capacity", "train_longer"),
        "model",
    ),
    "recall_zero_and_foreign": (
        recall_zero_and_foreign,
        ("initialisation", "foreign_optimiser", "missing_parameters"),
        "model",
    ),
    "digits_clipped_and_one_batch": (
        digits_clipped_and_one_batch,
        ("clipping", "same_batch"),
        "batches",
    ),
    "cancer_ignored_and_maximised": (
        cancer_ignored_and_maximised,
        ("ignored_labels", "uphill", "rate_sign"),
        "labels",
    ),
    "digits_batch_and_eps": (
        digits_batch_and_eps,
        ("batch_too_large", "optimiser_settings", "rate_low", "train_longer"),
        "batches",
    ),
}

# The runs with two faults: for each fault its cause and its part.
TWO_FAULTS = {
    "digits_stale_and_unscaled": (("stale_gradients", "loop"), ("input_scale", "inputs")),
    "spirals_small_and_short": (("capacity", "model"), ("train_longer", "loop")),
    "recall_zero_and_foreign": (("initialisation", "model"), ("foreign_optimiser", "optimiser")),
    "digits_clipped_and_one_batch": (("clipping", "loop"), ("same_batch", "batches")),
    "cancer_ignored_and_maximised": (("ignored_labels", "labels"), ("uphill", "optimiser")),
    "digits_batch_and_eps": (
        ("batch_too_large", "batches"),
        ("optimiser_settings", "optimiser"),
    ),
}
