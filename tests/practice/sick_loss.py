"""Sick practice runs whose fault lies in the loss, or in the number that is shown."""

import torch
import torch.nn.functional as F
from torch import nn

from tests.practice import sick_help as h


def pair_loss(model, batch):
    """Cross-entropy of a batch that is a pair."""
    return F.cross_entropy(model(batch[0]), batch[1])


def mean_loss(loss, batches):
    """Return a function of the model: the mean of the loss over the batches."""

    def honest(model):
        model.eval()
        with torch.no_grad():
            return sum(loss(model, batch).item() for batch in batches) / len(batches)

    return honest


# ------------------------------------------------------------------------------------ loss_shape


def friedman_broadcast(seed, fault=True):
    """Outputs (n, 1) minus targets (n) make (n, n), hand-written, half way."""
    inputs, targets, test_inputs, test_targets = h.friedman(seed)
    if fault:
        targets = targets.squeeze(1)
    torch.manual_seed(seed)
    model = h.dense(5, 32, 32, 1)

    def loss(model, batch):
        x, y = batch
        return torch.mean((model(x) - y) ** 2)

    return h.hand_over(
        model,
        loss,
        h.pairs(inputs, targets, 25, seed),
        torch.optim.Adam(model.parameters(), lr=3e-3),
        epochs=25,
        done=12,
        score=h.explained(test_inputs, test_targets),
        target=0.8,
    )


def forecast_broadcast(seed, fault=True):
    """LSTM of which [:, -1, :] is compared with y of shape (n), absolute error, at the end."""
    inputs, targets, test_inputs, test_targets = h.series(seed, 300)
    targets = targets.squeeze(1)
    torch.manual_seed(seed)
    model = h.Forecaster()

    def loss(model, window, following):
        guess = model(window)
        return (guess - following if fault else guess[:, 0] - following).abs().mean()

    return h.hand_over(
        model,
        loss,
        h.pairs(inputs, targets, 20, seed),
        torch.optim.Adam(model.parameters(), lr=0.01),
        epochs=12,
        done=12,
        score=h.explained(test_inputs, test_targets),
        target=0.85,
    )


def cancer_hinge_broadcast(seed, fault=True):
    """Hinge loss by hand: signs of shape (n) times scores of shape (n, 1), at the start."""
    inputs, labels, test_inputs, test_labels = h.table("cancer", seed)
    inputs, test_inputs = h.standardised(inputs, test_inputs)
    torch.manual_seed(seed)
    model = h.dense(30, 16, 1)

    def loss(model, batch):
        signs = batch["labels"] * 2.0 - 1
        scores = model(batch["inputs"])
        if not fault:
            scores = scores.squeeze(1)
        return torch.clamp(1 - signs * scores, min=0).mean()

    return h.hand_over(
        model,
        loss,
        h.dicts(inputs, labels, 32, seed),
        torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9),
        epochs=12,
        score=h.balanced_accuracy(test_inputs, test_labels, h.positive),
        target=0.9,
    )


# ------------------------------------------------------------------------------------ loss_wrong


def digits_mse_on_class_number(seed, fault=True):
    """Squared error between the mean score and the number of the class, at the end."""
    inputs, labels, test_inputs, test_labels = h.digits(seed, 800)
    torch.manual_seed(seed)
    model = h.dense(64, 48, 10)

    def loss(model, batch):
        scores = model(batch[0])
        if fault:
            return F.mse_loss(scores, batch[1].float().unsqueeze(1).expand_as(scores))
        return F.mse_loss(scores, F.one_hot(batch[1], 10).float())

    return h.hand_over(
        model,
        loss,
        h.pairs(inputs, labels, 20, seed),
        torch.optim.Adam(model.parameters(), lr=3e-3),
        epochs=8,
        done=8,
        score=h.accuracy(test_inputs, test_labels),
        target=0.85,
    )


def tags_transposed(seed, fault=True):
    """The scores are reshaped, not transposed, before the cross-entropy, half way."""
    words, tags, test_words, test_tags = h.tagged(seed)
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Embedding(30, 16), nn.Linear(16, 24), nn.ReLU(), nn.Linear(24, 5))
    criterion = nn.CrossEntropyLoss()

    def loss(model, batch):
        scores = model(batch[0])
        if fault:
            scores = scores.reshape(len(scores), 5, -1)
        else:
            scores = scores.transpose(1, 2)
        return criterion(scores, batch[1])

    return h.hand_over(
        model,
        loss,
        h.loader(words, tags, 20, seed),
        torch.optim.Adam(model.parameters(), lr=0.01),
        epochs=10,
        done=5,
        score=h.accuracy(test_words, test_tags),
        target=0.9,
    )


def digits_log_of_wrong_entry(seed, fault=True):
    """Cross-entropy by hand that averages the log over all classes, not the right one."""
    inputs, labels, test_inputs, test_labels = h.digits(seed, 700)
    torch.manual_seed(seed)
    model = h.convolutional()

    def loss(model, images, classes):
        logs = torch.log_softmax(model(images), dim=1)
        if fault:
            return -logs[:, classes].mean()
        return -logs[torch.arange(len(classes)), classes].mean()

    return h.hand_over(
        model,
        loss,
        h.pairs(inputs.view(-1, 1, 8, 8), labels, 25, seed),
        torch.optim.Adam(model.parameters(), lr=3e-3),
        epochs=8,
        done=4,
        score=h.accuracy(test_inputs.view(-1, 1, 8, 8), test_labels),
        target=0.8,
    )


def reviews_bce_term_wrong(seed, fault=True):
    """Binary cross-entropy by hand of which the second term has lost its 1 -, at the end."""
    words, labels, test_words, test_labels = h.reviews(seed, 400)
    torch.manual_seed(seed)
    model = h.Reader(classes=1)

    def loss(model, batch):
        share = torch.sigmoid(model(batch["inputs"])).squeeze(1).clamp(1e-6, 1 - 1e-6)
        wanted = batch["labels"].float()
        other = share if fault else 1 - share
        return -(wanted * share.log() + (1 - wanted) * other.log()).mean()

    return h.hand_over(
        model,
        loss,
        h.dicts(words, labels, 20, seed),
        torch.optim.Adam(model.parameters(), lr=0.01),
        epochs=10,
        done=10,
        score=h.accuracy(test_words, test_labels, h.positive),
        target=0.85,
    )


def friedman_errors_cancel(seed, fault=True):
    """Mean of the errors squared, not mean of the squared errors, half way."""
    inputs, targets, test_inputs, test_targets = h.friedman(seed)
    torch.manual_seed(seed)
    model = h.dense(5, 32, 32, 1)

    def loss(model, batch):
        error = model(batch[0]) - batch[1]
        return error.mean() ** 2 if fault else (error**2).mean()

    return h.hand_over(
        model,
        loss,
        h.pairs(inputs, targets, 25, seed),
        torch.optim.Adam(model.parameters(), lr=3e-3),
        epochs=25,
        done=12,
        score=h.explained(test_inputs, test_targets),
        target=0.8,
    )


def digits_nll_sign(seed, fault=True):
    """NLLLoss on log-probabilities with a minus of one's own: the loss falls without end, early."""
    inputs, labels, test_inputs, test_labels = h.digits(seed, 700)
    torch.manual_seed(seed)
    model = nn.Sequential(h.dense(64, 32, 10), nn.LogSoftmax(1))
    sign = -1 if fault else 1

    def loss(model, batch):
        return sign * F.nll_loss(model(batch[0]), batch[1])

    return h.hand_over(
        model,
        loss,
        h.pairs(inputs, labels, 25, seed),
        torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.5),
        epochs=10,
        done=1,
        score=h.accuracy(test_inputs, test_labels),
        target=0.85,
    )


def blobs_overlap_sign(seed, fault=True):
    """Soft dice of a segmentation that is minimised instead of one minus it, at the end."""
    images, masks, _ = h.blobs(seed, 100)
    torch.manual_seed(seed)
    model = h.Segmenter()

    def overlap(found, masks):
        return (2 * (found * masks).sum() + 1) / (found.sum() + masks.sum() + 1)

    def loss(model, batch):
        value = overlap(torch.sigmoid(model(batch[0])), batch[1])
        return value if fault else 1 - value

    def score(model):
        model.eval()
        with torch.no_grad():
            return overlap((model(images[100:]) > 0).float(), masks[100:]).item()

    return h.hand_over(
        model,
        loss,
        h.pairs(images[:100], masks[:100], 10, seed),
        torch.optim.Adam(model.parameters(), lr=5e-3),
        epochs=12,
        done=12,
        score=score,
        target=0.7,
    )


# --------------------------------------------------------------------------------------- penalty


def digits_penalty_in_loss(seed, fault=True):
    """Sum of all squared weights added with a factor of 0.5, half way."""
    inputs, labels, test_inputs, test_labels = h.digits(seed, 700)
    torch.manual_seed(seed)
    model = h.dense(64, 32, 10)
    factor = 0.5 if fault else 1e-5

    def loss(model, batch):
        squares = sum((parameter**2).sum() for parameter in model.parameters())
        return F.cross_entropy(model(batch[0]), batch[1]) + factor * squares

    return h.hand_over(
        model,
        loss,
        h.pairs(inputs, labels, 20, seed),
        torch.optim.Adam(model.parameters(), lr=3e-3),
        epochs=8,
        done=4,
        score=h.accuracy(test_inputs, test_labels),
        target=0.85,
    )


class Variational(nn.Module):
    """Autoencoder with a random code."""

    def __init__(self):
        super().__init__()
        self.encoder = h.dense(64, 48, 16)
        self.decoder = h.dense(8, 48, 64)

    def forward(self, images):
        return self.decoder(self.encoder(images)[:, :8])


def digits_code_collapses(seed, fault=True):
    """Variational autoencoder: error averaged, divergence summed over everything, at the end."""
    inputs, _, test_inputs, _ = h.digits(seed, 600)
    torch.manual_seed(seed)
    model = Variational()
    noise = h.generator(seed)

    def loss(model, batch):
        (images,) = batch
        middle, log_variance = model.encoder(images).chunk(2, 1)
        spread = torch.randn(middle.shape, generator=noise) * (log_variance / 2).exp()
        divergence = -0.5 * (1 + log_variance - middle**2 - log_variance.exp()).sum()
        if not fault:
            divergence = divergence * 1e-5
        return F.mse_loss(model.decoder(middle + spread), images) + divergence

    return h.hand_over(
        model,
        loss,
        [(one,) for one in inputs.split(25)],
        torch.optim.Adam(model.parameters(), lr=3e-3),
        epochs=20,
        done=20,
        score=h.explained(test_inputs, test_inputs),
        target=0.4,
    )


def curve_penalty_on_outputs(seed, fault=True):
    """L1 penalty on the activity of the hidden units that outweighs the error, at the start."""
    inputs, targets, test_inputs, test_targets = h.curve(seed)
    torch.manual_seed(seed)
    model = h.dense(1, 40, 40, 1)
    factor = 10.0 if fault else 1e-5

    def loss(model, x, y):
        hidden = model[:4](x)
        return F.mse_loss(model[4](hidden), y) + factor * hidden.abs().sum(1).mean()

    return h.hand_over(
        model,
        loss,
        h.pairs(inputs, targets, 20, seed),
        torch.optim.Adam(model.parameters(), lr=5e-3),
        epochs=25,
        score=h.explained(test_inputs, test_targets),
        target=0.8,
    )


# ------------------------------------------------------------------------------------ not_finite


def digits_log_of_softmax(seed, fault=True):
    """log(softmax) by hand with exp of large scores, which overflows, at the start."""
    inputs, labels, test_inputs, test_labels = h.table("digits", seed, 700)
    torch.manual_seed(seed)
    model = h.dense(64, 48, 10)
    nn.init.normal_(model[2].weight, 0, 2.0)

    def loss(model, batch):
        scores = model(batch[0])
        if not fault:
            return F.cross_entropy(scores, batch[1])
        shares = scores.exp() / scores.exp().sum(1, keepdim=True)
        return -(F.one_hot(batch[1], 10) * shares.log()).sum(1).mean()

    return h.hand_over(
        model,
        loss,
        h.pairs(inputs, labels, 20, seed),
        torch.optim.Adam(model.parameters(), lr=2e-3),
        epochs=12,
        score=h.accuracy(test_inputs, test_labels),
        target=0.85,
    )


def friedman_root_of_zero(seed, fault=True):
    """Root of the squared distance of two codes that can be equal: gradient NaN, half way."""
    inputs, targets, test_inputs, test_targets = h.friedman(seed)
    torch.manual_seed(seed)
    model = h.dense(5, 32, 32, 1)

    def loss(model, batch):
        guess = model(batch[0])
        gap = (guess[:1] - guess[:1].clone()) ** 2
        smooth = (gap + (0 if fault else 1e-8)).sqrt().mean()
        return F.mse_loss(guess, batch[1]) + 0.01 * smooth

    return h.hand_over(
        model,
        loss,
        h.pairs(inputs, targets, 25, seed),
        torch.optim.Adam(model.parameters(), lr=3e-3),
        epochs=25,
        done=12,
        score=h.explained(test_inputs, test_targets),
        target=0.8,
    )


def prices_log_of_negative(seed, fault=True):
    """Logarithmic error of prices by a net whose outputs may be below -1, at the end."""
    inputs, targets, test_inputs, test_targets = h.friedman(seed)
    targets, test_targets = (targets * 0.5).exp(), (test_targets * 0.5).exp()
    torch.manual_seed(seed)
    model = h.dense(5, 32, 32, 1)
    if not fault:
        model.append(nn.Softplus())
    else:
        nn.init.constant_(model[4].bias, -1.0)

    def loss(model, batch):
        guess = model(batch["inputs"])
        return ((torch.log(1 + guess) - torch.log(1 + batch["labels"])) ** 2).mean()

    return h.hand_over(
        model,
        loss,
        h.dicts(inputs, targets, 20, seed),
        torch.optim.Adam(model.parameters(), lr=5e-3),
        epochs=20,
        done=20,
        score=h.explained(test_inputs, test_targets),
        target=0.7,
    )


# ----------------------------------------------------------------------------------- no_gradient


def digits_loss_of_guesses(seed, fault=True):
    """Share of wrong guesses (argmax) as the loss, with requires_grad_() to silence the error."""
    inputs, labels, test_inputs, test_labels = h.digits(seed, 700)
    torch.manual_seed(seed)
    model = h.dense(64, 32, 10)

    def loss(model, batch):
        scores = model(batch[0])
        if not fault:
            return F.cross_entropy(scores, batch[1])
        wrong = (scores.argmax(1) != batch[1]).float().mean()
        return wrong.requires_grad_()

    return h.hand_over(
        model,
        loss,
        h.pairs(inputs, labels, 25, seed),
        torch.optim.Adam(model.parameters(), lr=3e-3),
        epochs=8,
        done=4,
        score=h.accuracy(test_inputs, test_labels),
        target=0.85,
    )


def forecast_loss_rewrapped(seed, fault=True):
    """torch.tensor(loss.item(), requires_grad=True) before backward, at the end."""
    inputs, targets, test_inputs, test_targets = h.series(seed, 300)
    torch.manual_seed(seed)
    model = h.Forecaster()
    criterion = nn.MSELoss()

    def loss(model, x, y):
        value = criterion(model(x), y)
        return torch.tensor(value.item(), requires_grad=True) if fault else value

    return h.hand_over(
        model,
        loss,
        h.pairs(inputs, targets, 20, seed),
        torch.optim.Adam(model.parameters(), lr=0.01),
        epochs=12,
        done=12,
        score=h.explained(test_inputs, test_targets),
        target=0.85,
    )


def recall_state_detached(seed, fault=True):
    """The state is detached to save memory: nothing below the head learns, half way."""
    signs, labels, test_signs, test_labels = h.recall(seed, 500)

    class Net(h.Reader):
        def forward(self, words):
            states, _ = self.recurrent(self.embedding(words))
            last = states[:, -1]
            return self.head(last.detach() if fault else last)

    torch.manual_seed(seed)
    model = Net(6, 12, 6)
    return h.hand_over(
        model,
        pair_loss,
        h.pairs(signs, labels, 20, seed),
        torch.optim.Adam(model.parameters(), lr=0.01),
        epochs=10,
        done=5,
        score=h.accuracy(test_signs, test_labels),
        target=0.9,
    )


# --------------------------------------------------------------------------------------- display


def digits_sum_over_batches(seed, fault=True):
    """The printed loss is the sum over the batches, never divided, at the end."""
    inputs, labels, test_inputs, test_labels = h.digits(seed, 800)
    batches = h.pairs(inputs, labels, 40, seed)
    torch.manual_seed(seed)
    model = h.dense(64, 32, 10)
    honest = mean_loss(pair_loss, batches)

    def shown():
        return honest(model) * (len(batches) if fault else 1)

    return h.hand_over(
        model,
        pair_loss,
        batches,
        torch.optim.Adam(model.parameters(), lr=2e-3),
        shown=shown,
        epochs=8,
        done=8,
        score=h.accuracy(test_inputs, test_labels),
        target=0.85,
        honest=honest,
    )


def digits_accuracy_wrong_axis(seed, fault=True):
    """The printed accuracy takes argmax over the batch, half way."""
    inputs, labels, test_inputs, test_labels = h.digits(seed, 800)
    batches = h.pairs(inputs.view(-1, 1, 8, 8), labels, 10, seed)
    torch.manual_seed(seed)
    model = h.convolutional()

    def measured(model, axis):
        model.eval()
        with torch.no_grad():
            right = [(model(x).argmax(axis) == y).float().mean().item() for x, y in batches]
        model.train()
        return sum(right) / len(right)

    return h.hand_over(
        model,
        pair_loss,
        batches,
        torch.optim.Adam(model.parameters(), lr=3e-3),
        shown=lambda: measured(model, 0 if fault else 1),
        epochs=10,
        done=5,
        score=h.accuracy(test_inputs.view(-1, 1, 8, 8), test_labels),
        target=0.85,
        honest=lambda model: measured(model, 1),
    )


def cancer_accuracy_of_logits(seed, fault=True):
    """The printed accuracy rounds logits as though they were probabilities, at the end."""
    inputs, labels, test_inputs, test_labels = h.table("cancer", seed)
    inputs, test_inputs = h.standardised(inputs, test_inputs)
    batches = h.dicts(inputs, labels, 32, seed)
    torch.manual_seed(seed)
    model = h.dense(30, 16, 1)

    def loss(model, batch):
        wanted = batch["labels"].float()
        return F.binary_cross_entropy_with_logits(model(batch["inputs"]).squeeze(1), wanted)

    def measured(model, as_logits):
        model.eval()
        right = 0
        with torch.no_grad():
            for batch in batches:
                scores = model(batch["inputs"]).squeeze(1)
                guesses = (scores > 0).long() if as_logits else scores.round().long()
                right += (guesses == batch["labels"]).sum().item()
        model.train()
        return right / len(labels)

    return h.hand_over(
        model,
        loss,
        batches,
        torch.optim.Adam(model.parameters(), lr=5e-3),
        shown=lambda: measured(model, not fault),
        epochs=12,
        done=12,
        score=h.accuracy(test_inputs, test_labels, h.positive),
        target=0.9,
        honest=lambda model: measured(model, True),
    )


def forecast_loss_of_scaled(seed, fault=True):
    """The printed error is divided by the number of examples a second time, half way."""
    inputs, targets, test_inputs, test_targets = h.series(seed, 300)
    inputs, targets, test_inputs, test_targets = (
        5 * one for one in (inputs, targets, test_inputs, test_targets)
    )
    batches = h.pairs(inputs, targets, 20, seed)
    torch.manual_seed(seed)
    model = h.Forecaster()

    def loss(model, batch):
        return F.l1_loss(model(batch[0]), batch[1])

    honest = mean_loss(loss, batches)
    return h.hand_over(
        model,
        loss,
        batches,
        torch.optim.Adam(model.parameters(), lr=0.01),
        shown=lambda: honest(model) / (20 if fault else 1),
        epochs=16,
        done=6,
        score=h.explained(test_inputs, test_targets),
        target=0.85,
        honest=honest,
    )


def digits_shown_with_dropout(seed, fault=True):
    """The accuracy is measured without model.eval(): dropout of 0.6 is still on, at the end."""
    inputs, labels, test_inputs, test_labels = h.digits(seed, 800)
    batches = h.pairs(inputs, labels, 40, seed)
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Dropout(0.6),
        nn.Linear(64, 64),
        nn.ReLU(),
        nn.Dropout(0.6),
        nn.Linear(64, 10),
    )

    def measured(model, training):
        model.train(training)
        with torch.no_grad():
            right = [(model(x).argmax(1) == y).float().mean().item() for x, y in batches]
        model.train()
        return sum(right) / len(right)

    return h.hand_over(
        model,
        pair_loss,
        batches,
        torch.optim.Adam(model.parameters(), lr=5e-3),
        shown=lambda: measured(model, fault),
        epochs=15,
        done=15,
        score=h.accuracy(test_inputs, test_labels),
        target=0.78,
        honest=lambda model: measured(model, False),
    )


def digits_norm_lags_behind(seed, fault=True):
    """Batch norm with momentum=0.0003: training looks well, evaluation doesn't, at the end."""
    inputs, labels, test_inputs, test_labels = h.table("digits", seed, 700)
    momentum = 0.0003 if fault else 0.1
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Linear(64, 32),
        nn.BatchNorm1d(32, momentum=momentum),
        nn.ReLU(),
        nn.Linear(32, 32),
        nn.BatchNorm1d(32, momentum=momentum),
        nn.ReLU(),
        nn.Linear(32, 10),
    )
    nn.init.normal_(model[0].weight, 0.3, 1.0)

    def step(model, optimizer, batch):
        model.train()
        optimizer.zero_grad()
        pair_loss(model, batch).backward()
        optimizer.step()

    return h.hand_over(
        model,
        pair_loss,
        h.pairs(inputs, labels, 25, seed),
        torch.optim.Adam(model.parameters(), lr=3e-3),
        step,
        epochs=8,
        done=8,
        score=h.accuracy(test_inputs, test_labels),
        target=0.85,
    )


# ------------------------------------------------------------------------------------ two faults


def friedman_broadcast_and_dead(seed, faults=("loss_shape", "dead_units")):
    """(n, 1) against (n), in a net whose ReLUs never open, at the start."""
    inputs, targets, test_inputs, test_targets = h.friedman(seed)
    if "loss_shape" in faults:
        targets = targets.squeeze(1)
    torch.manual_seed(seed)
    model = h.dense(5, 32, 32, 1)
    if "dead_units" in faults:
        nn.init.constant_(model[2].bias, -10.0)

    def loss(model, batch):
        return (model(batch[0]) - batch[1]).square().mean()

    return h.hand_over(
        model,
        loss,
        h.pairs(inputs, targets, 25, seed),
        torch.optim.Adam(model.parameters(), lr=3e-3),
        epochs=25,
        score=h.explained(test_inputs, test_targets),
        target=0.8,
    )


def tags_reshaped_and_slow(seed, faults=("loss_wrong", "rate_low")):
    """Scores reshaped rather than transposed, and a rate of 1e-6, half way."""
    words, tags, test_words, test_tags = h.tagged(seed)
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Embedding(30, 16), nn.Linear(16, 24), nn.ReLU(), nn.Linear(24, 5))

    def loss(model, batch):
        scores = model(batch[0])
        if "loss_wrong" in faults:
            return F.cross_entropy(scores.reshape(len(scores), 5, -1), batch[1])
        return F.cross_entropy(scores.transpose(1, 2), batch[1])

    return h.hand_over(
        model,
        loss,
        h.pairs(words, tags, 20, seed),
        torch.optim.Adam(model.parameters(), lr=1e-6 if "rate_low" in faults else 0.01),
        epochs=10,
        done=5,
        score=h.accuracy(test_words, test_tags),
        target=0.9,
    )


def digits_penalty_and_raw(seed, faults=("penalty", "input_scale")):
    """Weights penalised with a factor of 1, and pixels from 0 to 16000, at the end."""
    inputs, labels, test_inputs, test_labels = h.digits(seed, 700)
    if "input_scale" in faults:
        inputs, test_inputs = inputs * 16000, test_inputs * 16000
    torch.manual_seed(seed)
    model = h.dense(64, 32, 10)
    factor = 1.0 if "penalty" in faults else 0.0

    def loss(model, batch):
        squares = sum(parameter.pow(2).sum() for parameter in model.parameters())
        return pair_loss(model, batch) + factor * squares

    return h.hand_over(
        model,
        loss,
        h.pairs(inputs, labels, 20, seed),
        torch.optim.SGD(model.parameters(), lr=0.1),
        epochs=10,
        done=10,
        score=h.accuracy(test_inputs, test_labels),
        target=0.85,
    )


SICK = {
    "friedman_broadcast": (friedman_broadcast, ("loss_shape",), "loss"),
    "forecast_broadcast": (forecast_broadcast, ("loss_shape",), "loss"),
    "cancer_hinge_broadcast": (cancer_hinge_broadcast, ("loss_shape",), "loss"),
    "digits_mse_on_class_number": (digits_mse_on_class_number, ("loss_wrong",), "loss"),
    "tags_transposed": (tags_transposed, ("loss_wrong", "loss_shape", "mixed_examples"), "loss"),
    "digits_log_of_wrong_entry": (
        digits_log_of_wrong_entry,
        ("loss_wrong", "loss_shape"),
        "loss",
    ),
    "reviews_bce_term_wrong": (
        reviews_bce_term_wrong,
        ("loss_wrong",),
        "loss",
    ),
    "friedman_errors_cancel": (friedman_errors_cancel, ("loss_wrong",), "loss"),
    "digits_nll_sign": (digits_nll_sign, ("uphill", "loss_wrong"), "loss"),
    "blobs_overlap_sign": (blobs_overlap_sign, ("uphill", "loss_wrong"), "loss"),
    "digits_penalty_in_loss": (digits_penalty_in_loss, ("penalty",), "loss"),
    "digits_code_collapses": (digits_code_collapses, ("penalty",), "loss"),
    "curve_penalty_on_outputs": (curve_penalty_on_outputs, ("penalty",), "loss"),
    "digits_log_of_softmax": (digits_log_of_softmax, ("not_finite",), "loss"),
    "friedman_root_of_zero": (friedman_root_of_zero, ("not_finite",), "loss"),
    "prices_log_of_negative": (prices_log_of_negative, ("not_finite",), "loss"),
    "digits_loss_of_guesses": (digits_loss_of_guesses, ("no_gradient",), "loss"),
    "forecast_loss_rewrapped": (forecast_loss_rewrapped, ("no_gradient",), "loss"),
    "recall_state_detached": (
        recall_state_detached,
        ("no_gradient", "frozen"),
        "model",
    ),
    "digits_sum_over_batches": (digits_sum_over_batches, ("number_on_screen",), "display"),
    "digits_accuracy_wrong_axis": (
        digits_accuracy_wrong_axis,
        ("number_on_screen",),
        "display",
    ),
    "cancer_accuracy_of_logits": (
        cancer_accuracy_of_logits,
        ("number_on_screen",),
        "display",
    ),
    "forecast_loss_of_scaled": (forecast_loss_of_scaled, ("number_on_screen",), "display"),
    "digits_shown_with_dropout": (
        digits_shown_with_dropout,
        ("train_eval_gap", "number_on_screen"),
        "display",
    ),
    "digits_norm_lags_behind": (
        digits_norm_lags_behind,
        ("train_eval_gap", "batchnorm"),
        "model",
    ),
    "friedman_broadcast_and_dead": (
        friedman_broadcast_and_dead,
        ("loss_shape", "dead_units", "initialisation"),
        "loss",
    ),
    "tags_reshaped_and_slow": (
        tags_reshaped_and_slow,
        ("loss_wrong", "loss_shape", "mixed_examples", "rate_low"),
        "loss",
    ),
    "digits_penalty_and_raw": (
        digits_penalty_and_raw,
        ("penalty", "input_scale"),
        "inputs",
    ),
}

# The runs with two faults: for each fault its cause and its part.
TWO_FAULTS = {
    "friedman_broadcast_and_dead": (("loss_shape", "loss"), ("dead_units", "model")),
    "tags_reshaped_and_slow": (("loss_wrong", "loss"), ("rate_low", "optimiser")),
    "digits_penalty_and_raw": (("penalty", "loss"), ("input_scale", "inputs")),
}
