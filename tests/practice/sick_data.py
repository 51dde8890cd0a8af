"""Sick practice runs whose fault lies in the inputs, the labels or the batches."""

import torch
import torch.nn.functional as F
from torch import nn

from tests.practice import sick_help as h

# ---------------------------------------------------------------------------------------- inputs


def wine_unscaled(seed, fault=True):
    """Wine table straight from sklearn: features from 0.1 to 1700, at the start."""
    inputs, labels, test_inputs, test_labels = h.table("wine", seed)
    if not fault:
        inputs, test_inputs = h.standardised(inputs, test_inputs)
    torch.manual_seed(seed)
    model = h.dense(13, 16, 3)
    criterion = nn.CrossEntropyLoss()

    def loss(model, batch):
        features, classes = batch
        return criterion(model(features), classes)

    return h.hand_over(
        model,
        loss,
        h.pairs(inputs, labels, 16, seed),
        torch.optim.SGD(model.parameters(), lr=0.05),
        epochs=30,
        score=h.accuracy(test_inputs, test_labels),
        target=0.9,
    )


def digits_offset(seed, fault=True):
    """Digits whose pixels sit around 1000 (sensor offset not subtracted), trained to the end."""
    inputs, labels, test_inputs, test_labels = h.digits(seed, 600)
    offset = 1000.0 if fault else 0.0
    images = inputs.view(-1, 1, 8, 8) + offset
    torch.manual_seed(seed)
    model = h.convolutional()
    return h.hand_over(
        model,
        lambda model, x, y: F.cross_entropy(model(x), y),
        h.pairs(images, labels, 50, seed),
        torch.optim.Adam(model.parameters(), lr=3e-3),
        epochs=12,
        done=12,
        score=h.accuracy(test_inputs.view(-1, 1, 8, 8) + offset, test_labels),
        target=0.85,
    )


def diabetes_time_stamp(seed, fault=True):
    """Diabetes regression with a column of seconds since 1970 among scaled ones, half way."""
    inputs, targets, test_inputs, test_targets = h.table("diabetes", seed)
    inputs, test_inputs = h.standardised(inputs, test_inputs)
    targets, test_targets = (targets - 150) / 77, (test_targets - 150) / 77
    random = h.generator(seed)
    scale = 1e5 if fault else 1e-5
    stamp = 16 + torch.rand(len(inputs), 1, generator=random)
    test_stamp = 16 + torch.rand(len(test_inputs), 1, generator=random)
    inputs = torch.cat([inputs, stamp * scale], 1)
    test_inputs = torch.cat([test_inputs, test_stamp * scale], 1)
    torch.manual_seed(seed)
    model = h.dense(11, 32, 1)

    def loss(model, batch):
        return F.mse_loss(model(batch["inputs"]).squeeze(1), batch["labels"])

    return h.hand_over(
        model,
        loss,
        h.dicts(inputs, targets, 32, seed),
        torch.optim.Adam(model.parameters(), lr=1e-3),
        epochs=40,
        done=20,
        score=h.explained(test_inputs, test_targets),
        target=0.3,
    )


def digits_divided_twice(seed, fault=True):
    """Pixels divided by their maximum in the data set and by 255 in the transform, at the end."""
    inputs, labels, test_inputs, test_labels = h.digits(seed)
    divisor = 255.0 if fault else 1.0
    torch.manual_seed(seed)
    model = h.dense(64, 32, 10)
    criterion = nn.CrossEntropyLoss()

    def loss(model, batch):
        images, classes = batch
        return criterion(model(images), classes)

    return h.hand_over(
        model,
        loss,
        h.loader(inputs / divisor, labels, 40, seed),
        torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.5),
        epochs=10,
        done=10,
        score=h.accuracy(test_inputs / divisor, test_labels),
        target=0.85,
    )


def category_as_number(seed, fault=True):
    """The number of a shop (0 to 499) goes into the net as one number, not as a one-hot group."""
    random = h.generator(seed)
    shops = torch.randint(0, 500, (1600,), generator=random)
    labels = torch.randint(0, 2, (10,), generator=h.generator(seed + 9))[shops % 10]
    labels[shops % 10 == 0], labels[shops % 10 == 1] = 0, 1
    if fault:
        inputs = shops.float().unsqueeze(1)
    else:
        inputs = F.one_hot(shops % 10, 10).float()
    torch.manual_seed(seed)
    model = h.dense(inputs.shape[1], 32, 32, 1)

    def loss(model, batch):
        features, wanted = batch
        return F.binary_cross_entropy_with_logits(model(features).squeeze(1), wanted.float())

    return h.hand_over(
        model,
        loss,
        h.pairs(inputs[:800], labels[:800], 40, seed),
        torch.optim.Adam(model.parameters(), lr=0.01),
        epochs=15,
        score=h.accuracy(inputs[800:], labels[800:], h.positive),
        target=0.9,
    )


def cancer_saturated(seed, fault=True):
    """Tanh net on the unscaled breast cancer table: all its units are saturated, at the end."""
    inputs, labels, test_inputs, test_labels = h.table("cancer", seed)
    if not fault:
        inputs, test_inputs = h.standardised(inputs, test_inputs)
    torch.manual_seed(seed)
    model = h.dense(30, 16, 16, 2, activation=nn.Tanh)
    return h.hand_over(
        model,
        lambda model, batch: F.cross_entropy(model(batch[0]), batch[1]),
        h.pairs(inputs, labels, 32, seed),
        torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9),
        epochs=20,
        done=20,
        score=h.balanced_accuracy(test_inputs, test_labels),
        target=0.93,
    )


def forecast_in_pascal(seed, fault=True):
    """LSTM on air pressure in pascal (around 101325), not scaled, half way."""
    inputs, targets, test_inputs, test_targets = h.series(seed, 300)
    if fault:
        inputs, test_inputs = inputs * 400 + 101325, test_inputs * 400 + 101325
    torch.manual_seed(seed)
    model = h.Forecaster()
    return h.hand_over(
        model,
        lambda model, x, y: ((model(x) - y) ** 2).mean(),
        h.pairs(inputs, targets, 30, seed),
        torch.optim.Adam(model.parameters(), lr=0.01),
        epochs=14,
        done=7,
        score=h.explained(test_inputs, test_targets),
        target=0.8,
    )


def cancer_missing_values(seed, fault=True):
    """Some cells of the breast cancer table are empty (NaN), at the start."""
    inputs, labels, test_inputs, test_labels = h.table("cancer", seed)
    inputs, test_inputs = h.standardised(inputs, test_inputs)
    if fault:
        holes = torch.rand(inputs.shape, generator=h.generator(seed)) < 0.003
        inputs = inputs.masked_fill(holes, float("nan"))
    torch.manual_seed(seed)
    model = h.dense(30, 16, 1)
    criterion = nn.BCEWithLogitsLoss()

    def loss(model, batch):
        return criterion(model(batch[0]).flatten(), batch[1].float())

    return h.hand_over(
        model,
        loss,
        h.pairs(inputs, labels, 32, seed),
        torch.optim.Adam(model.parameters(), lr=5e-3),
        epochs=10,
        score=h.accuracy(test_inputs, test_labels, h.positive),
        target=0.9,
    )


def digits_log_of_zero(seed, fault=True):
    """Logarithm of pixels that are zero: inputs of minus infinity, after one epoch."""
    inputs, labels, test_inputs, test_labels = h.digits(seed, 600)
    if fault:
        inputs, test_inputs = inputs.log(), test_inputs.log()
    else:
        inputs, test_inputs = inputs.log1p(), test_inputs.log1p()
    torch.manual_seed(seed)
    model = h.convolutional(norm=True)

    def loss(model, batch):
        return F.nll_loss(F.log_softmax(model(batch["inputs"]), 1), batch["labels"])

    return h.hand_over(
        model,
        loss,
        h.dicts(inputs.view(-1, 1, 8, 8), labels, 30, seed),
        torch.optim.AdamW(model.parameters(), lr=3e-3),
        epochs=6,
        done=1,
        score=h.accuracy(test_inputs.view(-1, 1, 8, 8), test_labels),
        target=0.85,
    )


def digits_whole_division(seed, fault=True):
    """Pixels divided with // instead of /: every image is black, at the end."""
    inputs, labels, test_inputs, test_labels = h.table("digits", seed, 800)
    if fault:
        inputs, test_inputs = inputs // 17, test_inputs // 17
    else:
        inputs, test_inputs = inputs / 17, test_inputs / 17
    torch.manual_seed(seed)
    model = h.dense(64, 48, 10)

    def loss(model, images, classes):
        return nn.CrossEntropyLoss()(model(images), classes)

    return h.hand_over(
        model,
        loss,
        h.loader(inputs, labels, 32, seed),
        torch.optim.Adam(model.parameters(), lr=2e-3),
        epochs=10,
        done=10,
        score=h.accuracy(test_inputs, test_labels),
        target=0.85,
    )


def reviews_all_unknown(seed, fault=True):
    """The look-up of the words always fails, so that every word is <unk>, half way."""
    words, labels, test_words, test_labels = h.reviews(seed)
    if fault:
        words, test_words = torch.ones_like(words), torch.ones_like(test_words)
    torch.manual_seed(seed)
    model = h.Reader()

    def loss(model, batch):
        return F.cross_entropy(model(batch[0]), batch[1])

    return h.hand_over(
        model,
        loss,
        h.pairs(words, labels, 25, seed),
        torch.optim.Adam(model.parameters(), lr=0.01),
        epochs=12,
        done=6,
        score=h.accuracy(test_words, test_labels),
        target=0.85,
    )


# ---------------------------------------------------------------------------------------- labels


def digits_random_labels(seed, fault=True):
    """The label file belongs to another order of the images, at the end."""
    inputs, labels, test_inputs, test_labels = h.digits(seed, 800)
    if fault:
        (labels,) = h.shuffled(seed + 3, labels)
    torch.manual_seed(seed)
    model = h.convolutional()
    return h.hand_over(
        model,
        lambda model, batch: F.cross_entropy(model(batch[0]), batch[1]),
        h.pairs(inputs.view(-1, 1, 8, 8), labels, 40, seed),
        torch.optim.Adam(model.parameters(), lr=3e-3),
        epochs=10,
        done=10,
        score=h.accuracy(test_inputs.view(-1, 1, 8, 8), test_labels),
        target=0.85,
    )


def reviews_shuffled_apart(seed, fault=True):
    """The texts were shuffled, the labels were not, at the start."""
    words, labels, test_words, test_labels = h.reviews(seed, 400)
    if fault:
        (words,) = h.shuffled(seed + 3, words)
    torch.manual_seed(seed)
    model = h.Reader()
    criterion = nn.CrossEntropyLoss()

    def loss(model, x, y):
        return criterion(model(x), y)

    return h.hand_over(
        model,
        loss,
        h.pairs(words, labels, 20, seed),
        torch.optim.Adam(model.parameters(), lr=0.01),
        epochs=12,
        score=h.accuracy(test_words, test_labels),
        target=0.85,
    )


def friedman_targets_from_elsewhere(seed, fault=True):
    """Regression on targets that were sorted by themselves, half way."""
    inputs, targets, test_inputs, test_targets = h.friedman(seed)
    if fault:
        targets = targets.sort(0).values
    torch.manual_seed(seed)
    model = h.dense(5, 32, 32, 1)
    return h.hand_over(
        model,
        lambda model, batch: F.smooth_l1_loss(model(batch[0]), batch[1]),
        h.pairs(inputs, targets, 25, seed),
        torch.optim.Adam(model.parameters(), lr=3e-3),
        epochs=30,
        done=15,
        score=h.explained(test_inputs, test_targets),
        target=0.8,
    )


def tags_one_place_off(seed, fault=True):
    """Tagger whose tags are moved by one place (a start sign was added to the tags only)."""
    words, tags, test_words, test_tags = h.tagged(seed)
    if fault:
        tags = tags.roll(1, dims=1)
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Embedding(30, 12), nn.Linear(12, 24), nn.ReLU(), nn.Linear(24, 5))

    def loss(model, batch):
        scores = model(batch["inputs"])
        return F.cross_entropy(scores.reshape(-1, 5), batch["labels"].reshape(-1))

    return h.hand_over(
        model,
        loss,
        h.dicts(words, tags, 20, seed),
        torch.optim.Adam(model.parameters(), lr=0.01),
        epochs=10,
        done=10,
        score=h.accuracy(test_words, test_tags),
        target=0.9,
    )


def text_without_shift(seed, fault=True):
    """Language model that is given the current sign as its target, half way."""
    signs, test_signs = h.texts(seed)
    inputs, targets = (signs[:, 1:], signs[:, 1:]) if fault else (signs[:, :-1], signs[:, 1:])
    torch.manual_seed(seed)

    class Writer(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(20, 16)
            self.recurrent = nn.GRU(16, 24, batch_first=True)
            self.head = nn.Linear(24, 20)

        def forward(self, signs):
            return self.head(self.recurrent(self.embedding(signs))[0])

    model = Writer()

    def loss(model, batch):
        return F.cross_entropy(model(batch[0]).transpose(1, 2), batch[1])

    return h.hand_over(
        model,
        loss,
        h.pairs(inputs, targets, 20, seed),
        torch.optim.Adam(model.parameters(), lr=0.01),
        epochs=8,
        done=4,
        score=h.accuracy(test_signs[:, :-1], test_signs[:, 1:]),
        target=0.8,
    )


def digits_rows_one_off(seed, fault=True):
    """A header line was counted as a label: each image has the label of its neighbour."""
    inputs, labels, test_inputs, test_labels = h.digits(seed, 700)
    if fault:
        labels = labels.roll(1)
    torch.manual_seed(seed)
    model = h.dense(64, 64, 10)
    return h.hand_over(
        model,
        lambda model, x, y: F.cross_entropy(model(x), y),
        h.pairs(inputs, labels, 35),
        torch.optim.RMSprop(model.parameters(), lr=1e-3),
        epochs=15,
        done=7,
        score=h.accuracy(test_inputs, test_labels),
        target=0.85,
    )


def cancer_compared_with_text(seed, fault=True):
    """labels == "malignant" on a column of numbers: every label is 0, at the end."""
    inputs, labels, test_inputs, test_labels = h.table("cancer", seed)
    inputs, test_inputs = h.standardised(inputs, test_inputs)
    if fault:
        labels = torch.zeros_like(labels)
    torch.manual_seed(seed)
    model = nn.Sequential(h.dense(30, 16, 1), nn.Sigmoid())
    criterion = nn.BCELoss()

    def loss(model, batch):
        return criterion(model(batch[0]), batch[1].float().unsqueeze(1))

    return h.hand_over(
        model,
        loss,
        h.pairs(inputs, labels, 32, seed),
        torch.optim.Adam(model.parameters(), lr=5e-3),
        epochs=12,
        done=12,
        score=h.balanced_accuracy(test_inputs, test_labels, h.likely),
        target=0.9,
    )


def digits_labels_cut_to_zero(seed, fault=True):
    """Labels scaled to 0..0.9 like the pixels and then cut with .long(): all of them 0."""
    inputs, labels, test_inputs, test_labels = h.digits(seed, 600)
    if fault:
        labels = (labels.float() / 10).long()
    torch.manual_seed(seed)
    model = h.convolutional(channels=6)

    def loss(model, batch):
        return F.cross_entropy(model(batch[0]), batch[1])

    return h.hand_over(
        model,
        loss,
        h.loader(inputs.view(-1, 1, 8, 8), labels, 30, seed),
        torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9),
        epochs=10,
        score=h.accuracy(test_inputs.view(-1, 1, 8, 8), test_labels),
        target=0.85,
    )


def tags_mask_inverted(seed, fault=True):
    """Tagger whose mask is the wrong way round: it learns from the padding alone, half way."""
    words, tags, test_words, test_tags = h.tagged(seed)
    lengths = torch.randint(8, 11, (len(words), 1), generator=h.generator(seed + 2))
    padding = torch.arange(10) >= lengths
    words = words.masked_fill(padding, 0)
    hidden = ~padding if fault else padding
    tags = tags.masked_fill(padding, 0).masked_fill(hidden, -100)
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Embedding(30, 12), nn.ReLU(), nn.Linear(12, 5))
    criterion = nn.CrossEntropyLoss(ignore_index=-100)

    def loss(model, batch):
        return criterion(model(batch[0]).flatten(0, 1), batch[1].flatten())

    return h.hand_over(
        model,
        loss,
        h.pairs(words, tags, 25, seed),
        torch.optim.Adam(model.parameters(), lr=0.02),
        epochs=12,
        done=6,
        score=h.accuracy(test_words, test_tags),
        target=0.9,
    )


def cancer_class_ignored(seed, fault=True):
    """ignore_index=1 copied from a text model: the second class never counts, at the end."""
    inputs, labels, test_inputs, test_labels = h.table("cancer", seed)
    inputs, test_inputs = h.standardised(inputs, test_inputs)
    torch.manual_seed(seed)
    model = h.dense(30, 24, 2)
    criterion = nn.CrossEntropyLoss(ignore_index=1 if fault else -100)

    def loss(model, x, y):
        return criterion(model(x), y)

    return h.hand_over(
        model,
        loss,
        h.pairs(inputs, labels, 40, seed),
        torch.optim.Adam(model.parameters(), lr=5e-3),
        epochs=10,
        done=10,
        score=h.balanced_accuracy(test_inputs, test_labels),
        target=0.9,
    )


def cancer_rare_class(seed, fault=True):
    """Two ill among a hundred, nothing done about it, at the end."""
    random = h.generator(seed)
    labels = (torch.rand(3000, generator=random) < (0.025 if fault else 0.5)).long()
    labels[:3] = 1
    inputs = torch.randn(3000, 10, generator=random) + 0.5 * labels.unsqueeze(1)
    test_labels = torch.arange(600) % 2
    test_inputs = torch.randn(600, 10, generator=random) + 0.5 * test_labels.unsqueeze(1)
    inputs, labels = inputs[:1200], labels[:1200]
    torch.manual_seed(seed)
    model = h.dense(10, 16, 1)

    def loss(model, batch):
        return F.binary_cross_entropy_with_logits(model(batch[0])[:, 0], batch[1].float())

    return h.hand_over(
        model,
        loss,
        h.pairs(inputs, labels, 60, seed),
        torch.optim.Adam(model.parameters(), lr=3e-3),
        epochs=15,
        done=15,
        score=h.balanced_accuracy(test_inputs, test_labels, h.positive),
        target=0.74,
    )


def dice(images, masks):
    """Return a score: the overlap of the found and the true mask."""

    def score(model):
        model.eval()
        with torch.no_grad():
            found = (model(images) > 0).float()
        return (2 * (found * masks).sum() / (found.sum() + masks.sum())).item()

    return score


def blobs_rare_foreground(seed, fault=True):
    """Segmentation in which one pixel of a hundred is foreground, without weights, half way."""
    images, masks, _ = h.blobs(seed, 120, side=16, radius=1.2)
    images = images + 0.8 * torch.randn(images.shape, generator=h.generator(seed + 1))
    torch.manual_seed(seed)
    model = h.Segmenter()
    weight = None if fault else torch.tensor(30.0)

    def loss(model, batch):
        scores, wanted = model(batch[0]), batch[1]
        return F.binary_cross_entropy_with_logits(scores, wanted, pos_weight=weight)

    return h.hand_over(
        model,
        loss,
        h.pairs(images[:120], masks[:120], 20, seed),
        torch.optim.Adam(model.parameters(), lr=1e-2),
        epochs=20,
        done=10,
        score=dice(images[120:], masks[120:]),
        target=0.08,
    )


def house_prices(seed, fault=True):
    """Prices around 300000 as targets of a net whose outputs start around 0, half way."""
    inputs, targets, test_inputs, test_targets = h.friedman(seed)
    if fault:
        targets, test_targets = targets * 80000 + 300000, test_targets * 80000 + 300000
    torch.manual_seed(seed)
    model = h.dense(5, 32, 32, 1)
    return h.hand_over(
        model,
        lambda model, x, y: F.mse_loss(model(x), y),
        h.pairs(inputs, targets, 25, seed),
        torch.optim.Adam(model.parameters(), lr=3e-3),
        epochs=30,
        done=15,
        score=h.explained(test_inputs, test_targets),
        target=0.8,
    )


def diabetes_raw_targets(seed, fault=True):
    """Diabetes with the raw targets (25 to 346) and a small rate of learning, at the end."""
    inputs, targets, test_inputs, test_targets = h.table("diabetes", seed)
    inputs, test_inputs = h.standardised(inputs, test_inputs)
    if not fault:
        targets, test_targets = (targets - 152) / 77, (test_targets - 152) / 77
    torch.manual_seed(seed)
    model = h.dense(10, 16, 1)
    criterion = nn.L1Loss()

    def loss(model, batch):
        return criterion(model(batch["inputs"]).flatten(), batch["labels"])

    return h.hand_over(
        model,
        loss,
        h.dicts(inputs, targets, 20, seed),
        torch.optim.Adam(model.parameters(), lr=2e-3),
        epochs=25,
        done=25,
        score=h.explained(test_inputs, test_targets),
        target=0.3,
    )


def digits_twelve_images(seed, fault=True):
    """A slice left over from debugging: twelve images are all the training data."""
    inputs, labels, test_inputs, test_labels = h.digits(seed, 700)
    if fault:
        inputs, labels = inputs[:12], labels[:12]
    torch.manual_seed(seed)
    model = h.convolutional()
    return h.hand_over(
        model,
        lambda model, batch: F.cross_entropy(model(batch[0]), batch[1]),
        h.pairs(inputs.view(-1, 1, 8, 8), labels, 12 if fault else 35, seed),
        torch.optim.Adam(model.parameters(), lr=3e-3),
        epochs=200 if fault else 10,
        done=200 if fault else 10,
        score=h.accuracy(test_inputs.view(-1, 1, 8, 8), test_labels),
        target=0.85,
    )


def reviews_sixteen_texts(seed, fault=True):
    """Sixteen labelled texts for a net with thousands of weights, half way."""
    words, labels, test_words, test_labels = h.reviews(seed, 500)
    if fault:
        words, labels = words[:16], labels[:16]
    torch.manual_seed(seed)
    model = h.Attentive()

    def loss(model, x, y):
        return F.cross_entropy(model(x), y)

    return h.hand_over(
        model,
        loss,
        h.pairs(words, labels, 8 if fault else 25, seed),
        torch.optim.Adam(model.parameters(), lr=3e-3),
        epochs=60 if fault else 12,
        done=30 if fault else 6,
        score=h.accuracy(test_words, test_labels),
        target=0.8,
    )


# --------------------------------------------------------------------------------------- batches


def digits_sorted(seed, fault=True):
    """Images sorted by class and never shuffled, at the end."""
    inputs, labels, test_inputs, test_labels = h.digits(seed)
    if fault:
        order = labels.argsort(stable=True)
        inputs, labels = inputs[order], labels[order]
    torch.manual_seed(seed)
    model = h.dense(64, 32, 10)
    return h.hand_over(
        model,
        lambda model, batch: F.cross_entropy(model(batch[0]), batch[1]),
        h.pairs(inputs, labels, 20),
        torch.optim.SGD(model.parameters(), lr=0.2),
        epochs=8,
        done=8,
        score=h.accuracy(test_inputs, test_labels),
        target=0.85,
    )


def reviews_sorted(seed, fault=True):
    """First the folder of the bad reviews, then the folder of the good ones, at the start."""
    words, labels, test_words, test_labels = h.reviews(seed)
    if fault:
        order = labels.argsort(stable=True)
        words, labels = words[order], labels[order]
    torch.manual_seed(seed)
    model = nn.Sequential(nn.EmbeddingBag(60, 16), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 2))
    criterion = nn.CrossEntropyLoss()

    def loss(model, batch):
        return criterion(model(batch["inputs"]), batch["labels"])

    batches = [{"inputs": one, "labels": other} for one, other in h.pairs(words, labels, 20)]
    return h.hand_over(
        model,
        loss,
        batches,
        torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9),
        epochs=12,
        score=h.accuracy(test_words, test_labels),
        target=0.85,
    )


def digits_first_batch_only(seed, fault=True):
    """next(iter(loader)) within the loop: each step sees the same twenty images, half way."""
    inputs, labels, test_inputs, test_labels = h.digits(seed, 800)
    batches = h.pairs(inputs, labels, 20, seed)
    if fault:
        batches = [batches[0]] * len(batches)
    torch.manual_seed(seed)
    model = h.dense(64, 32, 10)
    return h.hand_over(
        model,
        lambda model, x, y: F.cross_entropy(model(x), y),
        batches,
        torch.optim.Adam(model.parameters(), lr=3e-3),
        epochs=8,
        done=4,
        score=h.accuracy(test_inputs, test_labels),
        target=0.85,
    )


def forecast_step_keeps_batch(seed, fault=True):
    """The step uses a batch from outside the loop, not the one it is given, at the end."""
    inputs, targets, test_inputs, test_targets = h.series(seed, 300)
    batches = h.pairs(inputs, targets, 15, seed)
    first = (batches[0][0][:3], batches[0][1][:3])
    torch.manual_seed(seed)
    model = h.Forecaster()

    def loss(model, batch):
        return F.mse_loss(model(batch[0]), batch[1])

    def step(model, optimizer, batch):
        optimizer.zero_grad(set_to_none=True)
        loss(model, first if fault else batch).backward()
        optimizer.step()

    return h.hand_over(
        model,
        loss,
        batches,
        torch.optim.Adam(model.parameters(), lr=0.01),
        step,
        epochs=12,
        done=12,
        score=h.explained(test_inputs, test_targets),
        target=0.9,
    )


def spirals_one_by_one(seed, fault=True):
    """Batches of one example with a rate of learning meant for large ones, half way."""
    inputs, labels, test_inputs, test_labels = h.spirals(seed, 300)
    torch.manual_seed(seed)
    model = h.dense(2, 32, 32, 2)
    return h.hand_over(
        model,
        lambda model, batch: F.cross_entropy(model(batch[0]), batch[1]),
        h.pairs(inputs, labels, 1 if fault else 50, seed),
        torch.optim.Adam(model.parameters(), lr=0.05),
        epochs=6 if fault else 100,
        done=3 if fault else 50,
        score=h.accuracy(test_inputs, test_labels),
        target=0.85,
    )


def digits_norm_of_two(seed, fault=True):
    """Batch norm with two images in each batch, half way."""
    inputs, labels, test_inputs, test_labels = h.digits(seed, 600)
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Linear(64, 32),
        nn.BatchNorm1d(32),
        nn.ReLU(),
        nn.Linear(32, 32),
        nn.BatchNorm1d(32),
        nn.ReLU(),
        nn.Linear(32, 10),
    )

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
        h.pairs(inputs, labels, 2 if fault else 30, seed),
        torch.optim.Adam(model.parameters(), lr=5e-3),
        step,
        epochs=4 if fault else 10,
        done=2 if fault else 5,
        score=h.accuracy(test_inputs, test_labels),
        target=0.85,
    )


def digits_one_huge_batch(seed, fault=True):
    """All thousand images in one batch: fifteen steps in fifteen epochs, at the end."""
    inputs, labels, test_inputs, test_labels = h.digits(seed)
    torch.manual_seed(seed)
    model = h.dense(64, 32, 10)
    return h.hand_over(
        model,
        lambda model, batch: F.cross_entropy(model(batch[0]), batch[1]),
        h.loader(inputs, labels, 1000 if fault else 20, seed),
        torch.optim.SGD(model.parameters(), lr=0.1),
        epochs=15,
        done=15,
        score=h.accuracy(test_inputs, test_labels),
        target=0.85,
    )


def reviews_one_huge_batch(seed, fault=True):
    """Four hundred texts in one batch of the transformer, half way."""
    words, labels, test_words, test_labels = h.reviews(seed, 400)
    torch.manual_seed(seed)
    model = h.Attentive()

    def loss(model, x, y):
        return F.cross_entropy(model(x), y)

    return h.hand_over(
        model,
        loss,
        h.pairs(words, labels, 400 if fault else 20, seed),
        torch.optim.AdamW(model.parameters(), lr=3e-3),
        epochs=10,
        done=5,
        score=h.accuracy(test_words, test_labels),
        target=0.9,
    )


# ------------------------------------------------------------------------------------ two faults


def diabetes_raw_and_broadcast(seed, faults=("input_scale", "loss_shape")):
    """Raw diabetes features, and outputs (n, 1) against targets (n), half way."""
    inputs, targets, test_inputs, test_targets = h.table("diabetes", seed)
    targets, test_targets = (targets - 152) / 77, (test_targets - 152) / 77
    if "input_scale" not in faults:
        inputs, test_inputs = h.standardised(inputs, test_inputs)
    if "loss_shape" not in faults:
        targets = targets.unsqueeze(1)
    torch.manual_seed(seed)
    model = h.dense(10, 16, 1)

    def loss(model, batch):
        return ((model(batch[0]) - batch[1]) ** 2).mean()

    return h.hand_over(
        model,
        loss,
        h.pairs(inputs, targets, 20, seed),
        torch.optim.SGD(model.parameters(), lr=0.02),
        epochs=24,
        done=12,
        score=h.explained(test_inputs, test_targets),
        target=0.3,
    )


def digits_sorted_and_fast(seed, faults=("sorted_batches", "rate_high")):
    """Images sorted by class and too high a rate of learning, at the start."""
    inputs, labels, test_inputs, test_labels = h.digits(seed)
    if "sorted_batches" in faults:
        order = labels.argsort(stable=True)
        inputs, labels = inputs[order], labels[order]
    torch.manual_seed(seed)
    model = h.dense(64, 32, 32, 10)
    return h.hand_over(
        model,
        lambda model, x, y: F.cross_entropy(model(x), y),
        h.pairs(inputs, labels, 25, None if "sorted_batches" in faults else seed),
        torch.optim.SGD(model.parameters(), lr=10.0 if "rate_high" in faults else 0.2),
        epochs=8,
        score=h.accuracy(test_inputs, test_labels),
        target=0.85,
    )


def cancer_holes_and_one_class(seed, faults=("inputs_not_finite", "one_class")):
    """NaN in the table, and every label is 1, at the start."""
    inputs, labels, test_inputs, test_labels = h.table("cancer", seed)
    inputs, test_inputs = h.standardised(inputs, test_inputs)
    if "inputs_not_finite" in faults:
        inputs[::50, 3] = float("nan")
    if "one_class" in faults:
        labels = torch.ones_like(labels)
    torch.manual_seed(seed)
    model = h.dense(30, 16, 2)
    return h.hand_over(
        model,
        lambda model, batch: F.cross_entropy(model(batch[0]), batch[1]),
        h.pairs(inputs, labels, 32, seed),
        torch.optim.Adam(model.parameters(), lr=5e-3),
        epochs=10,
        score=h.balanced_accuracy(test_inputs, test_labels),
        target=0.9,
    )


def reviews_few_and_shuffled(seed, faults=("labels_say_nothing", "too_little_data")):
    """Twenty texts, and their labels in another order, half way."""
    words, labels, test_words, test_labels = h.reviews(seed, 500)
    if "too_little_data" in faults:
        words, labels = words[:20], labels[:20]
    if "labels_say_nothing" in faults:
        (labels,) = h.shuffled(seed + 3, labels)
    torch.manual_seed(seed)
    model = h.Reader()
    few = "too_little_data" in faults
    return h.hand_over(
        model,
        lambda model, batch: F.cross_entropy(model(batch[0]), batch[1]),
        h.pairs(words, labels, 20, seed),
        torch.optim.Adam(model.parameters(), lr=0.01),
        epochs=30 if few else 10,
        done=15 if few else 5,
        score=h.accuracy(test_words, test_labels),
        target=0.8,
    )


SICK = {
    "wine_unscaled": (wine_unscaled, ("input_scale",), "inputs"),
    "digits_offset": (digits_offset, ("input_scale",), "inputs"),
    "diabetes_time_stamp": (diabetes_time_stamp, ("input_scale",), "inputs"),
    "digits_divided_twice": (digits_divided_twice, ("input_scale",), "inputs"),
    "category_as_number": (category_as_number, ("input_scale",), "inputs"),
    "cancer_saturated": (cancer_saturated, ("input_scale",), "inputs"),
    "forecast_in_pascal": (forecast_in_pascal, ("input_scale",), "inputs"),
    "cancer_missing_values": (cancer_missing_values, ("inputs_not_finite",), "inputs"),
    "digits_log_of_zero": (digits_log_of_zero, ("inputs_not_finite",), "inputs"),
    "digits_whole_division": (digits_whole_division, ("inputs_constant",), "inputs"),
    "reviews_all_unknown": (reviews_all_unknown, ("inputs_constant",), "inputs"),
    "digits_random_labels": (
        digits_random_labels,
        ("labels_say_nothing", "labels_shifted"),
        "labels",
    ),
    "reviews_shuffled_apart": (
        reviews_shuffled_apart,
        ("labels_say_nothing", "labels_shifted"),
        "labels",
    ),
    "friedman_targets_from_elsewhere": (
        friedman_targets_from_elsewhere,
        ("labels_say_nothing", "labels_shifted"),
        "labels",
    ),
    "tags_one_place_off": (
        tags_one_place_off,
        ("labels_shifted", "labels_say_nothing"),
        "labels",
    ),
    "text_without_shift": (text_without_shift, ("labels_shifted",), "labels"),
    "digits_rows_one_off": (
        digits_rows_one_off,
        ("labels_shifted", "labels_say_nothing"),
        "labels",
    ),
    "cancer_compared_with_text": (cancer_compared_with_text, ("one_class",), "labels"),
    "digits_labels_cut_to_zero": (digits_labels_cut_to_zero, ("one_class",), "labels"),
    "tags_mask_inverted": (tags_mask_inverted, ("ignored_labels", "one_class"), "labels"),
    "cancer_class_ignored": (cancer_class_ignored, ("ignored_labels", "one_class"), "labels"),
    "cancer_rare_class": (cancer_rare_class, ("imbalance",), "labels"),
    "blobs_rare_foreground": (blobs_rare_foreground, ("imbalance",), "labels"),
    "house_prices": (house_prices, ("target_scale",), "labels"),
    "diabetes_raw_targets": (diabetes_raw_targets, ("target_scale",), "labels"),
    "digits_twelve_images": (digits_twelve_images, ("too_little_data",), "labels"),
    "reviews_sixteen_texts": (reviews_sixteen_texts, ("too_little_data",), "labels"),
    "digits_sorted": (digits_sorted, ("sorted_batches",), "batches"),
    "reviews_sorted": (reviews_sorted, ("sorted_batches",), "batches"),
    "digits_first_batch_only": (
        digits_first_batch_only,
        ("same_batch", "too_little_data"),
        "batches",
    ),
    "forecast_step_keeps_batch": (forecast_step_keeps_batch, ("same_batch",), "batches"),
    "spirals_one_by_one": (spirals_one_by_one, ("batch_too_small", "rate_high"), "batches"),
    "digits_norm_of_two": (digits_norm_of_two, ("batch_too_small", "batchnorm"), "batches"),
    "digits_one_huge_batch": (
        digits_one_huge_batch,
        ("batch_too_large", "train_longer", "rate_low"),
        "batches",
    ),
    "reviews_one_huge_batch": (
        reviews_one_huge_batch,
        ("batch_too_large", "train_longer", "rate_low"),
        "batches",
    ),
    "diabetes_raw_and_broadcast": (
        diabetes_raw_and_broadcast,
        ("input_scale", "loss_shape"),
        "inputs",
    ),
    "digits_sorted_and_fast": (
        digits_sorted_and_fast,
        ("sorted_batches", "rate_high"),
        "batches",
    ),
    "cancer_holes_and_one_class": (
        cancer_holes_and_one_class,
        ("inputs_not_finite", "one_class"),
        "inputs",
    ),
    "reviews_few_and_shuffled": (
        reviews_few_and_shuffled,
        ("labels_say_nothing", "too_little_data"),
        "labels",
    ),
}

# The runs with two faults: for each fault its cause and its part.
TWO_FAULTS = {
    "diabetes_raw_and_broadcast": (("input_scale", "inputs"), ("loss_shape", "loss")),
    "digits_sorted_and_fast": (("sorted_batches", "batches"), ("rate_high", "optimiser")),
    "cancer_holes_and_one_class": (("inputs_not_finite", "inputs"), ("one_class", "labels")),
    "reviews_few_and_shuffled": (
        ("labels_say_nothing", "labels"),
        ("too_little_data", "labels"),
    ),
}
