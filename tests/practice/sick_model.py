"""Sick practice runs whose fault lies in the model, its output or its initialisation."""

import torch
import torch.nn.functional as F
from torch import nn

from tests.practice import sick_help as h


def images_of(seed, size):
    """Return the digits as images with one channel."""
    inputs, labels, test_inputs, test_labels = h.digits(seed, size)
    return inputs.view(-1, 1, 8, 8), labels, test_inputs.view(-1, 1, 8, 8), test_labels


def pair_loss(model, batch):
    """Cross-entropy of a batch that is a pair."""
    return F.cross_entropy(model(batch[0]), batch[1])


# ---------------------------------------------------------------------------------------- output


def digits_softmax_in_net(seed, fault=True):
    """Softmax as the last layer, and CrossEntropyLoss on top of it, at the end."""
    inputs, labels, test_inputs, test_labels = h.digits(seed)
    torch.manual_seed(seed)
    model = h.dense(64, 32, 10)
    if fault:
        model.append(nn.Softmax(dim=1))
    criterion = nn.CrossEntropyLoss()

    def loss(model, batch):
        images, classes = batch
        return criterion(model(images), classes)

    return h.hand_over(
        model,
        loss,
        h.loader(inputs, labels, 25, seed),
        torch.optim.SGD(model.parameters(), lr=0.1),
        epochs=10,
        done=10,
        score=h.accuracy(test_inputs, test_labels),
        target=0.85,
    )


def images_softmax_twice(seed, fault=True):
    """CNN whose forward ends in F.softmax, then F.cross_entropy, half way."""
    images, labels, test_images, test_labels = images_of(seed, 500)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
            self.conv2 = nn.Conv2d(8, 16, 3, padding=1)
            self.fc = nn.Linear(64, 10)

        def forward(self, x):
            x = F.max_pool2d(F.relu(self.conv1(x)), 2)
            x = F.max_pool2d(F.relu(self.conv2(x)), 2)
            x = self.fc(x.flatten(1))
            return F.softmax(x, dim=1) if fault else x

    torch.manual_seed(seed)
    model = Net()
    return h.hand_over(
        model,
        lambda model, x, y: F.cross_entropy(model(x), y),
        h.pairs(images, labels, 20, seed),
        torch.optim.SGD(model.parameters(), lr=0.1),
        epochs=14,
        done=7,
        score=h.accuracy(test_images, test_labels),
        target=0.8,
    )


def spirals_sigmoid_twice(seed, fault=True):
    """Sigmoid in the net and BCEWithLogitsLoss after it, half way."""
    inputs, labels, test_inputs, test_labels = h.spirals(seed)
    torch.manual_seed(seed)
    model = h.dense(2, 32, 32, 1)
    if fault:
        model.append(nn.Sigmoid())
    criterion = nn.BCEWithLogitsLoss()

    def loss(model, batch):
        return criterion(model(batch[0]), batch[1].float().unsqueeze(1))

    return h.hand_over(
        model,
        loss,
        h.pairs(inputs, labels, 30, seed),
        torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9),
        epochs=60,
        done=30,
        score=h.accuracy(test_inputs, test_labels, h.likely if fault else h.positive),
        target=0.85,
    )


def curve_relu_on_head(seed, fault=True):
    """ReLU after the last layer of a regression with targets below zero, at the end."""
    inputs, targets, test_inputs, test_targets = h.curve(seed)
    torch.manual_seed(seed)
    model = h.dense(1, 32, 32, 1)
    if fault:
        model.append(nn.ReLU())
    return h.hand_over(
        model,
        lambda model, batch: F.mse_loss(model(batch[0]), batch[1]),
        h.pairs(inputs, targets, 20, seed),
        torch.optim.Adam(model.parameters(), lr=5e-3),
        epochs=30,
        done=30,
        score=h.explained(test_inputs, test_targets),
        target=0.85,
    )


def diabetes_sigmoid_head(seed, fault=True):
    """Sigmoid on the head, targets from 25 to 346 divided by a hundred, half way."""
    inputs, targets, test_inputs, test_targets = h.table("diabetes", seed)
    inputs, test_inputs = h.standardised(inputs, test_inputs)
    targets, test_targets = targets / 100, test_targets / 100
    torch.manual_seed(seed)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden = nn.Linear(10, 24)
            self.out = nn.Linear(24, 1)

        def forward(self, features):
            value = self.out(torch.relu(self.hidden(features)))
            return torch.sigmoid(value) if fault else value

    model = Net()

    def loss(model, batch):
        return F.mse_loss(model(batch["inputs"]).squeeze(-1), batch["labels"])

    return h.hand_over(
        model,
        loss,
        h.dicts(inputs, targets, 20, seed),
        torch.optim.Adam(model.parameters(), lr=5e-3),
        epochs=20,
        done=10,
        score=h.explained(test_inputs, test_targets),
        target=0.3,
    )


def forecast_tanh_head(seed, fault=True):
    """LSTM with tanh on the head; the series runs from -3 to 3, at the end."""
    inputs, targets, test_inputs, test_targets = h.series(seed, 300)
    inputs, targets, test_inputs, test_targets = (
        3 * one for one in (inputs, targets, test_inputs, test_targets)
    )
    torch.manual_seed(seed)
    model = h.Forecaster()
    model.head = nn.Sequential(model.head, nn.Tanh() if fault else nn.Identity())
    return h.hand_over(
        model,
        lambda model, x, y: (model(x) - y).pow(2).mean(),
        h.pairs(inputs, targets, 20, seed),
        torch.optim.Adam(model.parameters(), lr=0.01),
        epochs=12,
        done=12,
        score=h.explained(test_inputs, test_targets),
        target=0.85,
    )


def cancer_softmax_of_one(seed, fault=True):
    """Softmax over a single output: every probability is 1, half way."""
    inputs, labels, test_inputs, test_labels = h.table("cancer", seed)
    inputs, test_inputs = h.standardised(inputs, test_inputs)
    torch.manual_seed(seed)
    model = nn.Sequential(h.dense(30, 16, 1), nn.Softmax(dim=1) if fault else nn.Sigmoid())
    criterion = nn.BCELoss()

    def loss(model, batch):
        return criterion(model(batch[0]).squeeze(1), batch[1].float())

    return h.hand_over(
        model,
        loss,
        h.pairs(inputs, labels, 32, seed),
        torch.optim.Adam(model.parameters(), lr=5e-3),
        epochs=12,
        done=6,
        score=h.balanced_accuracy(test_inputs, test_labels, h.likely),
        target=0.9,
    )


def blobs_softmax_of_one_channel(seed, fault=True):
    """Segmentation with softmax over the one channel of the mask, at the start."""
    images, masks, _ = h.blobs(seed, 100)
    torch.manual_seed(seed)
    model = nn.Sequential(h.Segmenter(), nn.Softmax(dim=1) if fault else nn.Sigmoid())

    def loss(model, images, masks):
        return F.binary_cross_entropy(model(images), masks)

    def score(model):
        model.eval()
        with torch.no_grad():
            found = (model(images[100:]) > 0.5).float()
        return (2 * (found * masks[100:]).sum() / (found.sum() + masks[100:].sum())).item()

    return h.hand_over(
        model,
        loss,
        h.pairs(images[:100], masks[:100], 10, seed),
        torch.optim.Adam(model.parameters(), lr=5e-3),
        epochs=10,
        score=score,
        target=0.45,
    )


def reviews_norm_of_one(seed, fault=True):
    """LayerNorm over the single output of a GRU: the output is a constant, half way."""
    words, labels, test_words, test_labels = h.reviews(seed, 400)
    torch.manual_seed(seed)
    model = h.Reader(classes=1)
    if fault:
        model.head = nn.Sequential(model.head, nn.LayerNorm(1))

    def loss(model, batch):
        return F.binary_cross_entropy_with_logits(model(batch[0]).squeeze(1), batch[1].float())

    return h.hand_over(
        model,
        loss,
        h.pairs(words, labels, 25, seed),
        torch.optim.Adam(model.parameters(), lr=0.01),
        epochs=12,
        done=6,
        score=h.accuracy(test_words, test_labels, h.positive),
        target=0.85,
    )


def digits_norm_then_mean(seed, fault=True):
    """InstanceNorm right before the mean over the pixels: every mean is zero, at the end."""
    images, labels, test_images, test_labels = images_of(seed, 600)
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 32, 3, padding=1, stride=2),
        nn.InstanceNorm2d(32, affine=True) if fault else nn.BatchNorm2d(32),
        nn.Identity() if fault else nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 10),
    )
    return h.hand_over(
        model,
        lambda model, x, y: F.cross_entropy(model(x), y),
        h.pairs(images, labels, 20, seed),
        torch.optim.Adam(model.parameters(), lr=0.01),
        epochs=8,
        done=8,
        score=h.accuracy(test_images, test_labels),
        target=0.75,
    )


def recall_reads_last_of_padding(seed, fault=True):
    """The head reads a part of the state that padding always sets to zero, at the start."""
    signs, labels, test_signs, test_labels = h.recall(seed, 500)

    class Masked(h.Reader):
        def forward(self, words):
            states, _ = self.recurrent(self.embedding(words))
            full = torch.cat([states, torch.zeros_like(states[:, :2])], 1)
            return self.head(full[:, -1] if fault else states[:, -1])

    torch.manual_seed(seed)
    model = Masked(6, 12, 6)
    return h.hand_over(
        model,
        pair_loss,
        h.loader(signs, labels, 20, seed),
        torch.optim.Adam(model.parameters(), lr=0.01),
        epochs=9,
        score=h.accuracy(test_signs, test_labels),
        target=0.9,
    )


def recall_batch_first_forgotten(seed, fault=True):
    """GRU without batch_first on data with the batch first: it reads across examples, half way."""
    signs, labels, test_signs, test_labels = h.recall(seed, 600)
    torch.manual_seed(seed)
    model = h.Reader(6, 12, 6, batch_first=not fault)
    return h.hand_over(
        model,
        lambda model, batch: F.cross_entropy(model(batch["inputs"]), batch["labels"]),
        h.dicts(signs, labels, 20, seed),
        torch.optim.Adam(model.parameters(), lr=0.01),
        epochs=9,
        done=4,
        score=h.accuracy(test_signs, test_labels),
        target=0.9,
    )


def digits_softmax_over_batch(seed, fault=True):
    """log_softmax(dim=0): the scores are normalised over the batch, at the end."""
    inputs, labels, test_inputs, test_labels = h.digits(seed)
    torch.manual_seed(seed)
    model = h.dense(64, 32, 10)
    model.append(nn.LogSoftmax(dim=0 if fault else 1))
    criterion = nn.NLLLoss()

    def loss(model, batch):
        return criterion(model(batch[0]), batch[1])

    def score(model):
        model.eval()
        with torch.no_grad():
            guesses = [model(one).argmax(1) for one in test_inputs.split(1)]
        return (torch.cat(guesses) == test_labels).float().mean().item()

    return h.hand_over(
        model,
        loss,
        h.pairs(inputs, labels, 5, seed),
        torch.optim.SGD(model.parameters(), lr=0.05),
        epochs=5,
        done=5,
        score=score,
        target=0.85,
    )


def digits_view_across_images(seed, fault=True):
    """Channels last after a permute, then .reshape to (-1, features) the wrong way, half way."""
    images, labels, test_images, test_labels = images_of(seed, 600)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 8, 3, padding=1, stride=2)
            self.head = nn.Sequential(nn.Linear(128, 32), nn.ReLU(), nn.Linear(32, 10))

        def forward(self, images):
            maps = F.relu(self.conv(images))
            if fault:
                maps = maps.transpose(0, 1)
            return self.head(maps.reshape(len(images), -1))

    torch.manual_seed(seed)
    model = Net()
    return h.hand_over(
        model,
        pair_loss,
        h.pairs(images, labels, 20, seed),
        torch.optim.Adam(model.parameters(), lr=3e-3),
        epochs=8,
        done=4,
        score=h.accuracy(test_images, test_labels),
        target=0.85,
    )


# ------------------------------------------------------------------------------------- structure


def spirals_all_linear(seed, fault=True):
    """Four linear layers with nothing between them, half way."""
    inputs, labels, test_inputs, test_labels = h.spirals(seed)
    torch.manual_seed(seed)
    model = h.dense(2, 32, 32, 32, 2, activation=nn.Identity if fault else nn.ReLU)
    return h.hand_over(
        model,
        lambda model, x, y: F.cross_entropy(model(x), y),
        h.pairs(inputs, labels, 30, seed),
        torch.optim.Adam(model.parameters(), lr=5e-3),
        epochs=60,
        done=30,
        score=h.accuracy(test_inputs, test_labels),
        target=0.85,
    )


def friedman_relu_without_effect(seed, fault=True):
    """F.relu(x) is called but its result is thrown away, at the end."""
    inputs, targets, test_inputs, test_targets = h.friedman(seed)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(5, 40)
            self.second = nn.Linear(40, 40)
            self.third = nn.Linear(40, 1)

        def forward(self, features):
            hidden = self.first(features)
            if fault:
                F.relu(hidden)
            else:
                hidden = F.relu(hidden)
            hidden = self.second(hidden)
            if fault:
                F.relu(hidden)
            else:
                hidden = F.relu(hidden)
            return self.third(hidden)

    torch.manual_seed(seed)
    model = Net()
    criterion = nn.MSELoss()

    def loss(model, batch):
        return criterion(model(batch[0]), batch[1])

    return h.hand_over(
        model,
        loss,
        h.loader(inputs, targets, 25, seed),
        torch.optim.Adam(model.parameters(), lr=3e-3),
        epochs=30,
        done=30,
        score=h.explained(test_inputs, test_targets),
        target=0.85,
    )


def spirals_two_units(seed, fault=True):
    """Two hidden units for two spirals, at the end."""
    inputs, labels, test_inputs, test_labels = h.spirals(seed)
    width = 2 if fault else 48
    torch.manual_seed(seed)
    model = h.dense(2, width, width, 1, activation=nn.Tanh)

    def loss(model, batch):
        return F.binary_cross_entropy_with_logits(model(batch[0]).flatten(), batch[1].float())

    return h.hand_over(
        model,
        loss,
        h.pairs(inputs, labels, 30, seed),
        torch.optim.Adam(model.parameters(), lr=0.01),
        epochs=100,
        done=100,
        score=h.accuracy(test_inputs, test_labels, h.positive),
        target=0.85,
    )


def digits_narrow_code(seed, fault=True):
    """Autoencoder of the digits with a code of one number, half way."""
    inputs, _, test_inputs, _ = h.digits(seed, 600)
    width = 1 if fault else 16
    torch.manual_seed(seed)
    model = nn.Sequential(h.dense(64, 48, width), h.dense(width, 48, 64))

    def loss(model, batch):
        (images,) = batch
        return F.mse_loss(model(images), images)

    return h.hand_over(
        model,
        loss,
        [(one,) for one in inputs.split(20)],
        torch.optim.Adam(model.parameters(), lr=3e-3),
        epochs=20,
        done=10,
        score=h.explained(test_inputs, test_inputs),
        target=0.6,
    )


def digits_bottleneck(seed, fault=True):
    """One unit in the middle of a net for ten classes, at the end."""
    inputs, labels, test_inputs, test_labels = h.digits(seed, 800)
    torch.manual_seed(seed)
    model = h.dense(64, 64, 1 if fault else 32, 64, 10)
    return h.hand_over(
        model,
        lambda model, batch: F.cross_entropy(model(batch["inputs"]), batch["labels"]),
        h.dicts(inputs, labels, 20, seed),
        torch.optim.Adam(model.parameters(), lr=2e-3),
        epochs=10,
        done=10,
        score=h.accuracy(test_inputs, test_labels),
        target=0.85,
    )


def quadrant_pooled_away(seed, fault=True):
    """Where is the blob? The mean over all places is taken before the head, half way."""
    images, _, quadrants = h.blobs(seed, 300)
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1, padding_mode="circular"),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 8, 3, padding=1, padding_mode="circular"),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1 if fault else 4),
        nn.Flatten(),
        nn.Linear(8 if fault else 128, 4),
    )
    return h.hand_over(
        model,
        lambda model, x, y: F.cross_entropy(model(x), y),
        h.pairs(images[:300], quadrants[:300], 20, seed),
        torch.optim.Adam(model.parameters(), lr=5e-3),
        epochs=10,
        done=5,
        score=h.accuracy(images[300:], quadrants[300:]),
        target=0.8,
    )


def forecast_without_memory(seed, fault=True):
    """The window is averaged to one number before the net sees it, at the end."""
    inputs, targets, test_inputs, test_targets = h.series(seed)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = h.dense(1 if fault else 20, 32, 1)

        def forward(self, values):
            values = values.squeeze(-1)
            return self.body(values.mean(1, keepdim=True) if fault else values)

    torch.manual_seed(seed)
    model = Net()
    return h.hand_over(
        model,
        lambda model, batch: F.l1_loss(model(batch[0]), batch[1]),
        h.pairs(inputs, targets, 20, seed),
        torch.optim.Adam(model.parameters(), lr=5e-3),
        epochs=20,
        done=20,
        score=h.explained(test_inputs, test_targets),
        target=0.85,
    )


def digits_thirty_layers(seed, fault=True):
    """Thirty plain layers with sigmoids, half way."""
    inputs, labels, test_inputs, test_labels = h.digits(seed, 600)
    torch.manual_seed(seed)
    model = h.dense(64, *[24] * (30 if fault else 1), 10, activation=nn.Sigmoid)
    return h.hand_over(
        model,
        pair_loss,
        h.pairs(inputs, labels, 30, seed),
        torch.optim.Adam(model.parameters(), lr=0.01),
        epochs=16,
        done=6,
        score=h.accuracy(test_inputs, test_labels),
        target=0.85,
    )


def digits_deep_plain_cnn(seed, fault=True):
    """Eighteen convolutions in a row, no norm and no shortcuts, at the start."""
    images, labels, test_images, test_labels = images_of(seed, 300)
    torch.manual_seed(seed)
    layers = [nn.Conv2d(1, 8, 3, padding=1, stride=2), nn.ReLU()]
    for _ in range(18 if fault else 1):
        layers += [nn.Conv2d(8, 8, 3, padding=1), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(128, 10))
    return h.hand_over(
        model,
        lambda model, x, y: nn.CrossEntropyLoss()(model(x), y),
        h.pairs(images, labels, 15, seed),
        torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9),
        epochs=12,
        score=h.accuracy(test_images, test_labels),
        target=0.8,
    )


def friedman_dead_from_start(seed, fault=True):
    """A bias of -8 in each hidden layer: no ReLU ever opens, half way."""
    inputs, targets, test_inputs, test_targets = h.friedman(seed)
    torch.manual_seed(seed)
    model = h.dense(5, 32, 32, 1)
    if fault:
        for layer in model[:-1:2]:
            nn.init.constant_(layer.bias, -8.0)
    return h.hand_over(
        model,
        lambda model, batch: F.mse_loss(model(batch["inputs"]), batch["labels"]),
        h.dicts(inputs, targets, 25, seed),
        torch.optim.Adam(model.parameters(), lr=3e-3),
        epochs=25,
        done=12,
        score=h.explained(test_inputs, test_targets),
        target=0.8,
    )


def digits_killed_by_first_steps(seed, fault=True):
    """A few steps at a huge rate (warm-up the wrong way round) have killed the ReLUs."""
    images, labels, test_images, test_labels = images_of(seed, 500)
    torch.manual_seed(seed)
    model = h.convolutional()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    count = [0]

    def step(model, optimizer, batch):
        count[0] += 1
        for group in optimizer.param_groups:
            group["lr"] = 8.0 if fault and count[0] <= 8 else 0.05
        optimizer.zero_grad()
        pair_loss(model, batch).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()

    return h.hand_over(
        model,
        pair_loss,
        h.pairs(images, labels, 25, seed),
        optimizer,
        step,
        epochs=8,
        done=4,
        score=h.accuracy(test_images, test_labels),
        target=0.8,
    )


def digits_dropout_everywhere(seed, fault=True):
    """Dropout of 0.95 after each hidden layer (p taken as the share to keep), at the end."""
    inputs, labels, test_inputs, test_labels = h.digits(seed, 700)
    share = 0.95 if fault else 0.05
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Linear(64, 32),
        nn.ReLU(),
        nn.Dropout(share),
        nn.Linear(32, 32),
        nn.ReLU(),
        nn.Dropout(share),
        nn.Linear(32, 10),
    )
    return h.hand_over(
        model,
        pair_loss,
        h.pairs(inputs, labels, 20, seed),
        torch.optim.Adam(model.parameters(), lr=3e-3),
        epochs=8,
        done=8,
        score=h.accuracy(test_inputs, test_labels),
        target=0.85,
    )


def recall_dropout_in_embedding(seed, fault=True):
    """Dropout of 0.9 on the embedding and on the state of a GRU, half way."""
    signs, labels, test_signs, test_labels = h.recall(seed, 500)

    class Net(nn.Module):
        def __init__(self, share):
            super().__init__()
            self.embedding = nn.Embedding(6, 12)
            self.dropout = nn.Dropout(share)
            self.recurrent = nn.GRU(12, 24, batch_first=True)
            self.head = nn.Linear(24, 6)

        def forward(self, signs):
            _, state = self.recurrent(self.dropout(self.embedding(signs)))
            return self.head(self.dropout(state[-1]))

    torch.manual_seed(seed)
    model = Net(0.9 if fault else 0.1)

    def loss(model, batch):
        return F.cross_entropy(model(batch[0]), batch[1])

    def step(model, optimizer, batch):
        model.train()
        optimizer.zero_grad()
        loss(model, batch).backward()
        optimizer.step()

    return h.hand_over(
        model,
        loss,
        h.pairs(signs, labels, 20, seed),
        torch.optim.Adam(model.parameters(), lr=0.01),
        step,
        epochs=10,
        done=5,
        score=h.accuracy(test_signs, test_labels),
        target=0.9,
    )


def curve_dropout_on_output(seed, fault=True):
    """Regression with dropout of 0.8 on the hidden units and on the output, at the start."""
    inputs, targets, test_inputs, test_targets = h.curve(seed)
    torch.manual_seed(seed)
    model = h.dense(1, 48, 48, 1)
    if fault:
        model = nn.Sequential(*model[:4], nn.Dropout(0.8), model[4], nn.Dropout(0.8))
    return h.hand_over(
        model,
        lambda model, x, y: F.mse_loss(model(x), y),
        h.pairs(inputs, targets, 20, seed),
        torch.optim.Adam(model.parameters(), lr=5e-3),
        epochs=30,
        score=h.explained(test_inputs, test_targets),
        target=0.85,
    )


def friedman_norm_on_output(seed, fault=True):
    """Batch norm without weights on the output of a regression of unscaled size, at the end."""
    inputs, targets, test_inputs, test_targets = h.friedman(seed)
    targets, test_targets = 3 * targets + 5, 3 * test_targets + 5
    torch.manual_seed(seed)
    model = h.dense(5, 32, 32, 1)
    if fault:
        model.append(nn.BatchNorm1d(1, affine=False))
    return h.hand_over(
        model,
        lambda model, batch: F.mse_loss(model(batch[0]), batch[1]),
        h.pairs(inputs, targets, 25, seed),
        torch.optim.Adam(model.parameters(), lr=5e-3),
        epochs=25,
        done=25,
        score=h.explained(test_inputs, test_targets),
        target=0.8,
    )


def digits_norm_never_updated(seed, fault=True):
    """Batch norm with momentum=0 over large activations: evaluation uses 0 and 1, at the end."""
    images, labels, test_images, test_labels = images_of(seed, 500)
    torch.manual_seed(seed)
    model = h.convolutional(norm=True)
    nn.init.normal_(model[0].weight, 0, 3.0)
    nn.init.constant_(model[0].bias, 4.0)
    for layer in model:
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 0.0 if fault else 0.1
    return h.hand_over(
        model,
        lambda model, batch: F.cross_entropy(model(batch["inputs"]), batch["labels"]),
        h.dicts(images, labels, 25, seed),
        torch.optim.Adam(model.parameters(), lr=3e-3),
        epochs=8,
        done=8,
        score=h.accuracy(test_images, test_labels),
        target=0.85,
    )


# -------------------------------------------------------------------------------- initialisation


def digits_zero_weights(seed, fault=True):
    """All weights and biases set to zero, half way."""
    inputs, labels, test_inputs, test_labels = h.digits(seed, 700)
    torch.manual_seed(seed)
    model = h.dense(64, 32, 32, 10)

    def fill(layer):
        if isinstance(layer, nn.Linear):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    if fault:
        model.apply(fill)
    return h.hand_over(
        model,
        pair_loss,
        h.pairs(inputs, labels, 20, seed),
        torch.optim.Adam(model.parameters(), lr=2e-3),
        epochs=8,
        done=4,
        score=h.accuracy(test_inputs, test_labels),
        target=0.85,
    )


def spirals_weights_too_large(seed, fault=True):
    """Tanh net with weights drawn with deviation 5: all units saturated, at the start."""
    inputs, labels, test_inputs, test_labels = h.spirals(seed)
    torch.manual_seed(seed)
    model = h.dense(2, 40, 40, 40, 2, activation=nn.Tanh)
    if fault:
        for layer in model[::2]:
            nn.init.normal_(layer.weight, 0.0, 5.0)
    return h.hand_over(
        model,
        lambda model, x, y: F.cross_entropy(model(x), y),
        h.pairs(inputs, labels, 30, seed),
        torch.optim.Adam(model.parameters(), lr=5e-3),
        epochs=50,
        score=h.accuracy(test_inputs, test_labels),
        target=0.92,
    )


def digits_equal_weights(seed, fault=True):
    """Each convolution is filled with one and the same number, half way."""
    images, labels, test_images, test_labels = images_of(seed, 500)
    torch.manual_seed(seed)
    model = h.convolutional()
    if fault:
        for parameter in model.parameters():
            nn.init.constant_(parameter, 0.02)
    return h.hand_over(
        model,
        lambda model, x, y: F.cross_entropy(model(x), y),
        h.loader(images, labels, 20, seed),
        torch.optim.Adam(model.parameters(), lr=3e-3),
        epochs=8,
        done=4,
        score=h.accuracy(test_images, test_labels),
        target=0.8,
    )


# -------------------------------------------------------------------------------- not registered


def spirals_layers_in_list(seed, fault=True):
    """The hidden layers stand in a plain list, so that only the head is trained, half way."""
    inputs, labels, test_inputs, test_labels = h.spirals(seed)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            layers = [nn.Linear(2, 16), nn.Linear(16, 16), nn.Linear(16, 16)]
            self.layers = layers if fault else nn.ModuleList(layers)
            self.head = nn.Linear(16, 2)

        def forward(self, points):
            for layer in self.layers:
                points = torch.relu(layer(points))
            return self.head(points)

    torch.manual_seed(seed)
    model = Net()
    return h.hand_over(
        model,
        pair_loss,
        h.pairs(inputs, labels, 30, seed),
        torch.optim.Adam(model.parameters(), lr=0.01),
        epochs=70,
        done=35,
        score=h.accuracy(test_inputs, test_labels),
        target=0.85,
    )


def recall_cell_in_dict(seed, fault=True):
    """GRU and embedding in a dict of Python, not in a ModuleDict, at the end."""
    signs, labels, test_signs, test_labels = h.recall(seed, 500)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            parts = {"words": nn.Embedding(6, 12), "cell": nn.GRU(12, 16, batch_first=True)}
            self.parts = parts if fault else nn.ModuleDict(parts)
            self.head = nn.Linear(16, 6)

        def forward(self, signs):
            states, _ = self.parts["cell"](self.parts["words"](signs))
            return self.head(states[:, -1])

    torch.manual_seed(seed)
    model = Net()
    return h.hand_over(
        model,
        lambda model, batch: F.cross_entropy(model(batch["inputs"]), batch["labels"]),
        h.dicts(signs, labels, 20, seed),
        torch.optim.Adam(model.parameters(), lr=0.01),
        epochs=10,
        done=10,
        score=h.accuracy(test_signs, test_labels),
        target=0.75,
    )


# ------------------------------------------------------------------------------------ two faults


def spirals_linear_and_slow(seed, faults=("no_nonlinearity", "rate_low")):
    """No activations and a rate of learning of 1e-6, half way."""
    inputs, labels, test_inputs, test_labels = h.spirals(seed)
    torch.manual_seed(seed)
    activation = nn.Identity if "no_nonlinearity" in faults else nn.ReLU
    model = h.dense(2, 32, 32, 2, activation=activation)
    return h.hand_over(
        model,
        lambda model, x, y: F.cross_entropy(model(x), y),
        h.pairs(inputs, labels, 30, seed),
        torch.optim.Adam(model.parameters(), lr=1e-6 if "rate_low" in faults else 0.01),
        epochs=60,
        done=30,
        score=h.accuracy(test_inputs, test_labels),
        target=0.85,
    )


def digits_softmax_and_decay(seed, faults=("softmax_twice", "weight_decay")):
    """Softmax in the net before the cross-entropy, and weight_decay=0.5, at the end."""
    images, labels, test_images, test_labels = images_of(seed, 500)
    torch.manual_seed(seed)
    model = h.convolutional()
    if "softmax_twice" in faults:
        model.append(nn.Softmax(1))
    decay = 0.5 if "weight_decay" in faults else 0.0
    return h.hand_over(
        model,
        pair_loss,
        h.pairs(images, labels, 20, seed),
        torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=decay),
        epochs=16,
        done=16,
        score=h.accuracy(test_images, test_labels),
        target=0.8,
    )


def prices_sigmoid_and_scale(seed, faults=("output_range", "target_scale")):
    """Sigmoid on the head, and targets in the thousands, at the start."""
    inputs, targets, test_inputs, test_targets = h.friedman(seed)
    if "target_scale" in faults:
        targets, test_targets = 2000 * targets + 9000, 2000 * test_targets + 9000
    torch.manual_seed(seed)
    model = h.dense(5, 32, 32, 1)
    if "output_range" in faults:
        model.append(nn.Sigmoid())
    return h.hand_over(
        model,
        lambda model, batch: F.mse_loss(model(batch[0]), batch[1]),
        h.pairs(inputs, targets, 25, seed),
        torch.optim.Adam(model.parameters(), lr=5e-3),
        epochs=20,
        score=h.explained(test_inputs, test_targets),
        target=0.8,
    )


def recall_dropout_and_mixed(seed, faults=("dropout", "mixed_examples")):
    """Dropout of 0.95 on the state, and batch_first forgotten, half way."""
    signs, labels, test_signs, test_labels = h.recall(seed, 500)
    torch.manual_seed(seed)
    model = h.Reader(6, 12, 6, batch_first="mixed_examples" not in faults)
    if "dropout" in faults:
        model.embedding = nn.Sequential(model.embedding, nn.Dropout(0.95))
        model.head = nn.Sequential(nn.Dropout(0.95), model.head)
    return h.hand_over(
        model,
        lambda model, x, y: F.cross_entropy(model(x), y),
        h.pairs(signs, labels, 20, seed),
        torch.optim.Adam(model.parameters(), lr=0.01),
        epochs=9,
        done=4,
        score=h.accuracy(test_signs, test_labels),
        target=0.9,
    )


def digits_deep_and_constant_rows(seed, faults=("too_deep", "inputs_constant")):
    """Thirty layers with sigmoids, on images that are all black, at the start."""
    inputs, labels, test_inputs, test_labels = h.table("digits", seed, 600)
    if "inputs_constant" in faults:
        inputs, test_inputs = (inputs / 255).int().float(), (test_inputs / 255).int().float()
    else:
        inputs, test_inputs = inputs / 16, test_inputs / 16
    torch.manual_seed(seed)
    depth = 30 if "too_deep" in faults else 1
    model = h.dense(64, *[24] * depth, 10, activation=nn.Sigmoid)
    return h.hand_over(
        model,
        pair_loss,
        h.pairs(inputs, labels, 30, seed),
        torch.optim.Adam(model.parameters(), lr=0.01),
        epochs=16,
        score=h.accuracy(test_inputs, test_labels),
        target=0.85,
    )


SICK = {
    "digits_softmax_in_net": (digits_softmax_in_net, ("softmax_twice",), "model"),
    "images_softmax_twice": (images_softmax_twice, ("softmax_twice",), "model"),
    "spirals_sigmoid_twice": (
        spirals_sigmoid_twice,
        ("softmax_twice", "output_range"),
        "model",
    ),
    "curve_relu_on_head": (curve_relu_on_head, ("output_range",), "model"),
    "diabetes_sigmoid_head": (diabetes_sigmoid_head, ("output_range",), "model"),
    "forecast_tanh_head": (forecast_tanh_head, ("output_range",), "model"),
    "cancer_softmax_of_one": (
        cancer_softmax_of_one,
        ("one_channel", "constant_output"),
        "model",
    ),
    "blobs_softmax_of_one_channel": (
        blobs_softmax_of_one_channel,
        ("one_channel", "constant_output"),
        "model",
    ),
    "reviews_norm_of_one": (
        reviews_norm_of_one,
        ("constant_output", "one_channel"),
        "model",
    ),
    "digits_norm_then_mean": (digits_norm_then_mean, ("constant_output",), "model"),
    "recall_reads_last_of_padding": (
        recall_reads_last_of_padding,
        ("constant_output",),
        "model",
    ),
    "recall_batch_first_forgotten": (
        recall_batch_first_forgotten,
        ("mixed_examples",),
        "model",
    ),
    "digits_softmax_over_batch": (
        digits_softmax_over_batch,
        ("mixed_examples",),
        "model",
    ),
    "digits_view_across_images": (digits_view_across_images, ("mixed_examples",), "model"),
    "spirals_all_linear": (spirals_all_linear, ("no_nonlinearity",), "model"),
    "friedman_relu_without_effect": (
        friedman_relu_without_effect,
        ("no_nonlinearity",),
        "model",
    ),
    "spirals_two_units": (spirals_two_units, ("capacity",), "model"),
    "digits_narrow_code": (digits_narrow_code, ("capacity",), "model"),
    "digits_bottleneck": (digits_bottleneck, ("capacity",), "model"),
    "quadrant_pooled_away": (quadrant_pooled_away, ("capacity",), "model"),
    "forecast_without_memory": (forecast_without_memory, ("capacity",), "model"),
    "digits_thirty_layers": (digits_thirty_layers, ("too_deep",), "model"),
    "digits_deep_plain_cnn": (digits_deep_plain_cnn, ("too_deep", "batchnorm"), "model"),
    "friedman_dead_from_start": (
        friedman_dead_from_start,
        ("dead_units", "initialisation"),
        "model",
    ),
    "digits_killed_by_first_steps": (
        digits_killed_by_first_steps,
        ("dead_units", "rate_high"),
        "model",
    ),
    "digits_dropout_everywhere": (digits_dropout_everywhere, ("dropout",), "model"),
    "recall_dropout_in_embedding": (recall_dropout_in_embedding, ("dropout",), "model"),
    "curve_dropout_on_output": (curve_dropout_on_output, ("dropout",), "model"),
    "friedman_norm_on_output": (
        friedman_norm_on_output,
        ("batchnorm", "output_range"),
        "model",
    ),
    "digits_norm_never_updated": (
        digits_norm_never_updated,
        ("batchnorm", "train_eval_gap"),
        "model",
    ),
    "digits_zero_weights": (digits_zero_weights, ("initialisation",), "model"),
    "spirals_weights_too_large": (spirals_weights_too_large, ("initialisation",), "model"),
    "digits_equal_weights": (digits_equal_weights, ("initialisation",), "model"),
    "spirals_layers_in_list": (
        spirals_layers_in_list,
        ("not_registered", "missing_parameters"),
        "model",
    ),
    "recall_cell_in_dict": (
        recall_cell_in_dict,
        ("not_registered", "missing_parameters"),
        "model",
    ),
    "spirals_linear_and_slow": (
        spirals_linear_and_slow,
        ("no_nonlinearity", "rate_low"),
        "model",
    ),
    "digits_softmax_and_decay": (
        digits_softmax_and_decay,
        ("softmax_twice", "weight_decay"),
        "model",
    ),
    "prices_sigmoid_and_scale": (
        prices_sigmoid_and_scale,
        ("output_range", "target_scale"),
        "model",
    ),
    "recall_dropout_and_mixed": (
        recall_dropout_and_mixed,
        ("dropout", "mixed_examples"),
        "model",
    ),
    "digits_deep_and_constant_rows": (
        digits_deep_and_constant_rows,
        ("too_deep", "inputs_constant"),
        "inputs",
    ),
}

# The runs with two faults: for each fault its cause and its part.
TWO_FAULTS = {
    "spirals_linear_and_slow": (("no_nonlinearity", "model"), ("rate_low", "optimiser")),
    "digits_softmax_and_decay": (("softmax_twice", "model"), ("weight_decay", "optimiser")),
    "prices_sigmoid_and_scale": (("output_range", "model"), ("target_scale", "labels")),
    "recall_dropout_and_mixed": (("dropout", "model"), ("mixed_examples", "model")),
    "digits_deep_and_constant_rows": (("too_deep", "model"), ("inputs_constant", "inputs")),
}
