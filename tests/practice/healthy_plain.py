"""Healthy runs of the everyday sort: the usual nets, data, losses and optimisers."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from .healthy_help import (
    Plan,
    accuracy_on,
    binary_accuracy_on,
    chance,
    clusters,
    digits,
    disks,
    entries,
    explained_on,
    mlp,
    pairs,
    signal_words,
    smooth_function,
    spirals,
    table,
)


def digits_mlp(seed, variant):
    """A plain net on digits with pixels in 0..1, not centred."""
    (inputs, labels), test = digits(seed)
    model = mlp(*[(64, 64, 10), (64, 128, 64, 10), (64, 32, 10)][variant])
    if variant == 1:
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    else:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.3)

    def loss(model, batch):
        x, y = batch
        return F.cross_entropy(model(x), y)

    size = (64, 32, 120)[variant]
    steps = (450, 450, 480)[variant]
    return Plan(
        model,
        loss,
        pairs(size, inputs, labels),
        optimizer,
        steps,
        accuracy_on(*test),
        goal=0.9,
        shown=(None, "loss", "score")[variant],
    )


def slow_sgd(seed, variant):
    """Plain SGD with a small rate that is enough for the planned number of steps."""
    (inputs, labels), test = digits(seed)
    inputs, test = (inputs - 0.3) * 3, ((test[0] - 0.3) * 3, test[1])
    model = mlp(64, (64, 48, 100)[variant], 10, activation=(nn.ReLU, nn.Tanh, nn.ReLU)[variant])
    optimizer = torch.optim.SGD(model.parameters(), lr=(0.02, 0.02, 0.01)[variant])
    criterion = nn.CrossEntropyLoss()
    return Plan(
        model,
        lambda model, batch: criterion(model(batch[0]), batch[1]),
        pairs((16, 24, 16)[variant], inputs, labels),
        optimizer,
        1500,
        accuracy_on(*test),
        goal=0.9,
        shown=("loss", None, "loss")[variant],
    )


class SmallConvNet(nn.Module):
    """Two convolutions with BatchNorm, pooled, and a linear head."""

    def __init__(self, width, dropout=0.0):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, 3, padding=1, bias=False),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * width * 4, 10)

    def forward(self, x):
        return self.head(self.dropout(self.features(x).flatten(1)))


def conv_batchnorm(seed, variant):
    """A small CNN with BatchNorm on digit images."""
    (inputs, labels), test = digits(seed, images=True)
    model = SmallConvNet((8, 12, 8)[variant], (0.0, 0.2, 0.0)[variant])
    if variant == 0:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    else:
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    size = (32, 64, 48)[variant]
    batches = pairs(size, inputs, labels)
    if variant == 1:
        batches = DataLoader(
            TensorDataset(inputs, labels), batch_size=size, shuffle=True, generator=chance(seed, 9)
        )

    def loss(model, batch):
        images, target = batch
        return nn.CrossEntropyLoss()(model(images), target)

    return Plan(
        model,
        loss,
        batches,
        optimizer,
        (300, 300, 260)[variant],
        accuracy_on(*test),
        goal=0.92,
        shown=("score", None, "loss")[variant],
    )


class ResidualBlock(nn.Module):
    """x + two convolutions of x, as in a ResNet."""

    def __init__(self, width):
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(x + self.bn2(self.conv2(out)))


class SmallResNet(nn.Module):
    """A ResNet for 8x8 images."""

    def __init__(self, width, blocks):
        super().__init__()
        self.stem = nn.Conv2d(1, width, 3, stride=2, padding=1)
        self.blocks = nn.Sequential(*[ResidualBlock(width) for _ in range(blocks)])
        self.fc = nn.Linear(width, 10)

    def forward(self, x):
        return self.fc(self.blocks(self.stem(x)).mean((2, 3)))


def resnet_like(seed, variant):
    """A small ResNet with SGD and momentum 0.9."""
    (inputs, labels), test = digits(seed, images=True)
    model = SmallResNet((16, 24, 16)[variant], (2, 2, 3)[variant])
    optimizer = torch.optim.SGD(
        model.parameters(), lr=0.05, momentum=0.9, nesterov=variant == 1, weight_decay=1e-4
    )

    def loss(model, batch):
        return F.cross_entropy(model(batch[0]), batch[1])

    return Plan(
        model,
        loss,
        pairs((48, 32, 32)[variant], inputs, labels),
        optimizer,
        (250, 240, 250)[variant],
        accuracy_on(*test),
        goal=0.93,
        shown=("loss", "score", None)[variant],
    )


class ResidualMLP(nn.Module):
    """Many residual blocks, each with LayerNorm before it."""

    def __init__(self, features, width, depth, classes):
        super().__init__()
        self.embed = nn.Linear(features, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU())
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        h = self.embed(x)
        for block in self.blocks:
            h = h + block(h)
        return self.head(self.norm(h))


def deep_residual(seed, variant):
    """A deep net whose residual connections keep it trainable."""
    (inputs, labels), test = digits(seed)
    model = ResidualMLP(64, 32, (10, 16, 12)[variant], 10)
    optimizer = (
        torch.optim.Adam(model.parameters(), lr=2e-3),
        torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01),
        torch.optim.RMSprop(model.parameters(), lr=5e-4),
    )[variant]

    def loss(model, batch):
        x, y = batch
        return -F.log_softmax(model(x), dim=1).gather(1, y[:, None]).mean()

    return Plan(
        model,
        loss,
        pairs(48, inputs, labels),
        optimizer,
        (240, 360, 240)[variant],
        accuracy_on(*test),
        goal=0.9,
        shown=(None, "loss", "loss")[variant],
    )


def logistic_regression(seed, variant):
    """Logistic regression: a single linear layer is meant."""
    train_set, test = table(seed, "breast_cancer")
    inputs, labels = train_set[0], train_set[1].float().unsqueeze(1)
    model = nn.Linear(30, 1)
    optimizer = (
        torch.optim.SGD(model.parameters(), lr=0.1),
        torch.optim.Adam(model.parameters(), lr=0.01),
        torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9),
    )[variant]
    criterion = nn.BCEWithLogitsLoss()
    return Plan(
        model,
        lambda model, batch: criterion(model(batch[0]), batch[1]),
        pairs((32, 45, 64)[variant], inputs, labels),
        optimizer,
        (280, 300, 210)[variant],
        binary_accuracy_on(test[0], test[1].unsqueeze(1)),
        goal=0.92,
        shown=("loss", "score", "loss")[variant],
    )


def one_logit(seed, variant):
    """A yes/no net with one logit and float targets of shape (N, 1)."""
    inputs, labels = clusters(seed, 1500, features=12, classes=6, spread=1.3)
    labels = (labels % 2).float().unsqueeze(1)
    model = mlp(12, (32, 64, 48)[variant], 1, activation=(nn.ReLU, nn.ReLU, nn.SiLU)[variant])
    optimizer = torch.optim.Adam(model.parameters(), lr=(5e-3, 3e-3, 5e-3)[variant])

    def loss(model, batch):
        x, y = batch
        return F.binary_cross_entropy_with_logits(model(x), y)

    def loss_of_probability(model, batch):
        x, y = batch
        p = torch.sigmoid(model(x))
        return nn.BCELoss()(p, y)

    return Plan(
        model,
        loss_of_probability if variant == 2 else loss,
        pairs((50, 20, 100)[variant], inputs[:1000], labels[:1000]),
        optimizer,
        (500, 600, 400)[variant],
        binary_accuracy_on(inputs[1000:], labels[1000:]),
        goal=0.88,
        shown=("loss", None, "score")[variant],
    )


def linear_regression(seed, variant):
    """Linear regression on a table with little to explain: a linear model is meant."""
    train_set, _ = table(seed, "diabetes", standardise_target=True)
    inputs, targets = train_set
    model = nn.Linear(10, 1)
    optimizer = (
        torch.optim.SGD(model.parameters(), lr=0.05),
        torch.optim.Adam(model.parameters(), lr=0.02),
        torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9),
    )[variant]
    criterion = nn.MSELoss()
    return Plan(
        model,
        lambda model, batch: criterion(model(batch[0]), batch[1]),
        pairs((32, 50, 88)[variant], inputs, targets),
        optimizer,
        (200, 210, 160)[variant],
        explained_on(inputs, targets),
        goal=0.45,
        shown=("loss", None, "loss")[variant],
    )


def regression(seed, variant):
    """A regression net on a standardised target."""
    inputs, targets = smooth_function(seed, 1600)
    model = mlp(6, 64, 64, 1, activation=(nn.ReLU, nn.Tanh, nn.SiLU)[variant])
    optimizer = torch.optim.Adam(model.parameters(), lr=(3e-3, 5e-3, 3e-3)[variant])

    def loss(model, batch):
        x, y = batch
        return ((model(x) - y) ** 2).mean()

    def flat_loss(model, batch):
        return F.smooth_l1_loss(model(batch["x"]).squeeze(1), batch["y"])

    batches = pairs((64, 40, 64)[variant], inputs[:1200], targets[:1200])
    if variant == 2:
        batches = [{"x": x, "y": y.squeeze(1)} for x, y in batches]
    return Plan(
        model,
        flat_loss if variant == 2 else loss,
        batches,
        optimizer,
        (900, 900, 900)[variant],
        explained_on(inputs[1200:], targets[1200:]),
        goal=0.85,
        shown=("loss", "loss", None)[variant],
    )


class LastStep(nn.Module):
    """A recurrent net over (time, batch, features) whose last output is classified."""

    def __init__(self, features, width, classes, cell=nn.LSTM, layers=1):
        super().__init__()
        self.rnn = cell(features, width, num_layers=layers)
        self.fc = nn.Linear(width, classes)

    def forward(self, x):
        out, _ = self.rnn(x)
        return self.fc(out[-1])


def sequence_first(seed, variant):
    """An LSTM on sequences laid out as (time, batch, features): digits row by row."""
    (inputs, labels), test = digits(seed)
    model = LastStep(8, (32, 48, 32)[variant], 10, layers=(1, 1, 2)[variant])
    optimizer = torch.optim.Adam(model.parameters(), lr=(1e-2, 5e-3, 1e-2)[variant])
    batches = [
        (x.reshape(-1, 8, 8).transpose(0, 1).contiguous(), y)
        for x, y in pairs((48, 32, 48)[variant], inputs, labels)
    ]

    def loss(model, batch):
        sequence, target = batch
        return F.cross_entropy(model(sequence), target)

    return Plan(
        model,
        loss,
        batches,
        optimizer,
        (330, 450, 240)[variant],
        accuracy_on(test[0].reshape(-1, 8, 8).transpose(0, 1), test[1]),
        goal=0.9,
        shown=("loss", "score", "loss")[variant],
    )


class Tagged(nn.Module):
    """Embedding, GRU over packed sequences, and a head on the last state of each."""

    def __init__(self, vocabulary, width, classes):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width, padding_idx=0)
        self.gru = nn.GRU(width, width, batch_first=True)
        self.out = nn.Linear(width, classes)

    def forward(self, tokens, lengths):
        packed = nn.utils.rnn.pack_padded_sequence(
            self.embedding(tokens), lengths, batch_first=True, enforce_sorted=False
        )
        _, last = self.gru(packed)
        return self.out(last[-1])


def gru_tokens(seed, variant):
    """A GRU over padded token sequences with their lengths."""
    tokens, lengths, labels = signal_words(seed, 1600)
    model = Tagged(40, (24, 32, 32)[variant], 3)
    optimizer = torch.optim.Adam(model.parameters(), lr=(1e-2, 5e-3, 1e-2)[variant])

    def loss(model, batch):
        words, sizes, target = batch
        return F.cross_entropy(model(words, sizes), target)

    return Plan(
        model,
        loss,
        pairs((32, 32, 40)[variant], tokens[:1280], lengths[:1280], labels[:1280]),
        optimizer,
        (300, 400, 260)[variant],
        accuracy_on(tokens[1280:], labels[1280:], lambda m, x: m(x, lengths[1280:])),
        goal=0.9,
        shown=(None, "loss", "score")[variant],
    )


class TokenTransformer(nn.Module):
    """A small transformer encoder with a padding mask and mean pooling."""

    def __init__(self, vocabulary, width, classes, layers=1, length=12, norm_first=False):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.position = nn.Parameter(torch.randn(length, width) * 0.02)
        layer = nn.TransformerEncoderLayer(
            width, 4, 2 * width, dropout=0.1, batch_first=True, norm_first=norm_first
        )
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.head = nn.Linear(width, classes)

    def forward(self, tokens, padding):
        h = self.embedding(tokens) + self.position
        h = self.encoder(h, src_key_padding_mask=padding)
        keep = (~padding).unsqueeze(-1).float()
        return self.head((h * keep).sum(1) / keep.sum(1))


def transformer_padding(seed, variant):
    """A transformer with LayerNorm on dict batches that carry a padding mask."""
    tokens, _, labels = signal_words(seed, 1280)
    model = TokenTransformer(40, 32, 3, layers=(1, 2, 1)[variant], norm_first=variant == 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=(3e-3, 2e-3, 3e-3)[variant])
    test, padding = tokens[1024:], tokens[1024:] == 0

    def loss(model, batch):
        logits = model(batch["input_ids"], batch["padding"])
        return F.cross_entropy(logits, batch["labels"])

    batches = [
        {"input_ids": x, "padding": x == 0, "labels": y}
        for x, y in pairs(32, tokens[:1024], labels[:1024])
    ]
    return Plan(
        model,
        loss,
        batches,
        optimizer,
        (288, 256, 224)[variant],
        accuracy_on(test, labels[1024:], lambda m, x: m(x, padding)),
        goal=0.9,
        shown=("loss", "loss", "score")[variant],
    )


class SmallUNet(nn.Module):
    """A U-Net with one level and a skip connection."""

    def __init__(self, width):
        super().__init__()

        def double(wide_in, wide_out):
            return nn.Sequential(
                nn.Conv2d(wide_in, wide_out, 3, padding=1), nn.BatchNorm2d(wide_out), nn.ReLU()
            )

        self.down = double(1, width)
        self.bottom = double(width, 2 * width)
        self.up = nn.ConvTranspose2d(2 * width, width, 2, stride=2)
        self.join = double(2 * width, width)
        self.out = nn.Conv2d(width, 1, 1)

    def forward(self, x):
        skip = self.down(x)
        low = self.bottom(F.max_pool2d(skip, 2))
        return self.out(self.join(torch.cat([skip, self.up(low)], 1)))


def unet(seed, variant):
    """A U-Net that segments noisy disks, most pixels background."""
    images, masks = disks(seed, 400)
    model = SmallUNet((8, 8, 6)[variant])
    optimizer = torch.optim.Adam(model.parameters(), lr=(5e-3, 3e-3, 5e-3)[variant])

    def loss(model, batch):
        image, mask = batch
        return F.binary_cross_entropy_with_logits(model(image), mask)

    def loss_with_dice(model, batch):
        image, mask = batch
        logits = model(image)
        p = torch.sigmoid(logits)
        dice = 1 - (2 * (p * mask).sum() + 1) / (p.sum() + mask.sum() + 1)
        return nn.BCEWithLogitsLoss()(logits, mask) + dice

    def overlap(model):
        guess, truth = model(images[320:]) > 0, masks[320:] > 0.5
        return (guess & truth).sum() / (guess | truth).sum()

    return Plan(
        model,
        loss_with_dice if variant == 1 else loss,
        pairs((16, 16, 20)[variant], images[:320], masks[:320]),
        optimizer,
        (200, 160, 160)[variant],
        overlap,
        goal=0.8,
        shown=("loss", "loss", None)[variant],
    )


def autoencoder(seed, variant):
    """An autoencoder of digits; the batch is the input alone or the input with a label unused."""
    (inputs, labels), test = digits(seed)
    code = (16, 16, 24)[variant]
    model = nn.Sequential(mlp(64, 48, code), mlp(code, 48, 64))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

    def loss(model, batch):
        return F.mse_loss(model(batch[0]), batch[0])

    def loss_of_images(model, images):
        return ((model(images) - images) ** 2).mean()

    batches = pairs((60, 32, 48)[variant], inputs, labels)
    if variant == 1:
        batches = [x for x, _ in batches]
    return Plan(
        model,
        loss_of_images if variant == 1 else loss,
        batches,
        optimizer,
        (900, 1000, 900)[variant],
        explained_on(test[0], test[0]),
        goal=0.75,
        shown=("loss", None, "loss")[variant],
    )


def multi_label(seed, variant):
    """Several yes/no labels at once, float targets of shape (N, labels)."""
    generator = chance(seed, 20)
    inputs = torch.randn(1500, 12, generator=generator)
    mix = torch.randn(12, 5, generator=generator)
    targets = ((inputs @ mix + (inputs**2 - 1) @ mix.flip(0) * 0.5) > 0).float()
    model = mlp(12, (64, 96, 64)[variant], 5)
    optimizer = torch.optim.Adam(model.parameters(), lr=(5e-3, 5e-3, 1e-2)[variant])
    criterion = (nn.BCEWithLogitsLoss(), nn.MultiLabelSoftMarginLoss(), nn.BCEWithLogitsLoss())

    def loss(model, batch):
        x, y = batch
        return criterion[variant](model(x), y)

    return Plan(
        model,
        loss,
        pairs((50, 40, 100)[variant], inputs[:1200], targets[:1200]),
        optimizer,
        (600, 700, 400)[variant],
        binary_accuracy_on(inputs[1200:], targets[1200:]),
        goal=0.85,
        shown=("loss", "score", "loss")[variant],
    )


class BagOfWords(nn.Module):
    """An embedding bag and a linear head."""

    def __init__(self, vocabulary, width, classes):
        super().__init__()
        self.bag = nn.EmbeddingBag(vocabulary, width, mode="mean")
        self.fc = nn.Linear(width, classes)

    def forward(self, text, offsets):
        return self.fc(self.bag(text, offsets))


def embedding_bag(seed, variant):
    """Token embeddings in an embedding bag: flat text with offsets."""
    tokens, lengths, labels = signal_words(seed, 1600)
    model = BagOfWords(40, (16, 32, 16)[variant], 3)
    optimizer = (
        torch.optim.Adam(model.parameters(), lr=1e-2),
        torch.optim.SGD(model.parameters(), lr=1.0),
        torch.optim.Adagrad(model.parameters(), lr=0.2),
    )[variant]

    def collate(words, sizes, target):
        text = torch.cat([row[:size] for row, size in zip(words, sizes, strict=True)])
        return text, torch.cat([torch.zeros(1, dtype=torch.long), sizes.cumsum(0)[:-1]]), target

    def loss(model, batch):
        text, offsets, target = batch
        return F.cross_entropy(model(text, offsets), target)

    size = (32, 16, 64)[variant]
    rows = pairs(size, tokens[:1280], lengths[:1280], labels[:1280])
    text, offsets, target = collate(tokens[1280:], lengths[1280:], labels[1280:])
    return Plan(
        model,
        loss,
        [collate(*row) for row in rows],
        optimizer,
        (600, 800, 400)[variant],
        accuracy_on(text, target, lambda m, x: m(x, offsets)),
        goal=0.9,
        shown=("loss", "loss", "score")[variant],
    )


def spiral_plateau(seed, variant):
    """Two spirals: the loss rests on a plateau for a while before it drops."""
    inputs, labels = spirals(seed, 800, turns=(1.0, 1.0, 1.25)[variant])
    inputs, labels = inputs * 2, labels
    order = torch.randperm(800, generator=chance(seed, 21))
    inputs, labels = inputs[order], labels[order]
    model = mlp(2, 48, 48, 2, activation=(nn.Tanh, nn.ReLU, nn.Tanh)[variant])
    optimizer = torch.optim.Adam(model.parameters(), lr=(5e-3, 5e-3, 1e-2)[variant])

    def loss(model, batch):
        x, y = batch
        return F.nll_loss(F.log_softmax(model(x), dim=-1), y)

    return Plan(
        model,
        loss,
        pairs(50, inputs[:600], labels[:600]),
        optimizer,
        (1400, 1600, 1500)[variant],
        accuracy_on(inputs[600:], labels[600:]),
        goal=0.92,
        shown=("loss", "loss", None)[variant],
    )


class Forecaster(nn.Module):
    """A GRU that foretells the next value from a window."""

    def __init__(self, width):
        super().__init__()
        self.gru = nn.GRU(1, width, batch_first=True)
        self.linear = nn.Linear(width, 1)

    def forward(self, window):
        out, _ = self.gru(window)
        return self.linear(out[:, -1])


def forecasting(seed, variant):
    """The next value of a noisy sum of sines from the window before it."""
    generator = chance(seed, 22)
    time = torch.arange(900, dtype=torch.float32)
    start = 6.28 * torch.rand(2, generator=generator)
    series = torch.sin(0.3 * time + start[0]) + 0.5 * torch.sin(0.71 * time + start[1])
    series = series + 0.05 * torch.randn(900, generator=generator)
    windows = series.unfold(0, 13, 1).unsqueeze(-1)
    inputs, targets = windows[:, :-1].contiguous(), windows[:, -1].contiguous()
    test = inputs[720:], targets[720:]
    order = torch.randperm(700, generator=generator)
    inputs, targets = inputs[order], targets[order]
    model = Forecaster((24, 32, 24)[variant])
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    criterion = (nn.MSELoss(), nn.L1Loss(), nn.HuberLoss())[variant]

    def loss(model, x, y):
        return criterion(model(x), y)

    return Plan(
        model,
        loss,
        pairs((35, 28, 50)[variant], inputs, targets),
        optimizer,
        (300, 300, 280)[variant],
        explained_on(*test),
        goal=0.9,
        shown=("loss", None, "loss")[variant],
    )


class NextCharacter(nn.Module):
    """A language model over characters."""

    def __init__(self, vocabulary, width, cell):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.rnn = cell(width, width, batch_first=True)
        self.decoder = nn.Linear(width, vocabulary)

    def forward(self, x):
        return self.decoder(self.rnn(self.embed(x))[0])


def next_character(seed, variant):
    """A recurrent language model: targets are the inputs moved by one."""
    generator = chance(seed, 23)
    following = torch.stack([torch.randperm(20, generator=generator) for _ in range(20)])
    rows = [torch.randint(20, (640, 2), generator=generator)]
    text = rows[0]
    for _ in range(14):
        new = following[text[:, -1], text[:, -1]]
        odd = torch.rand(640, generator=generator) < 0.15
        new = torch.where(odd, torch.randint(20, (640,), generator=generator), new)
        text = torch.cat([text, new.unsqueeze(1)], 1)
    model = NextCharacter(20, (32, 32, 24)[variant], (nn.GRU, nn.LSTM, nn.GRU)[variant])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    inputs, targets = text[:, :-1], text[:, 1:]

    def loss(model, batch):
        x, y = batch
        return F.cross_entropy(model(x).transpose(1, 2), y)

    def loss_of_text(model, batch):
        logits = model(batch[:, :-1])
        return F.cross_entropy(logits.reshape(-1, 20), batch[:, 1:].reshape(-1))

    batches = pairs(32, inputs[:512], targets[:512])
    if variant == 1:
        batches = list(text[:512].split(32))
    return Plan(
        model,
        loss_of_text if variant == 1 else loss,
        batches,
        optimizer,
        (224, 240, 224)[variant],
        accuracy_on(inputs[512:, 1:], targets[512:, 1:]),
        goal=0.75,
        shown=("loss", "loss", None)[variant],
    )


def hinge(seed, variant):
    """A margin loss: labels -1 and 1 with a hinge, or the margin of several classes."""
    inputs, labels = clusters(seed, 1200, features=10, classes=4)
    if variant == 1:
        model, criterion = mlp(10, 32, 4), nn.MultiMarginLoss()
        score = accuracy_on(inputs[900:], labels[900:])
        targets = labels

        def loss(model, batch):
            return criterion(model(batch[0]), batch[1])

    else:
        model = mlp(10, 32, 1)
        targets = (2 * (labels % 2) - 1).float().unsqueeze(1)
        score = binary_accuracy_on(inputs[900:], (targets[900:] + 1) / 2)

        def loss(model, batch):
            x, y = batch
            return torch.clamp(1 - y * model(x), min=0).mean()

    optimizer = (
        torch.optim.SGD(model.parameters(), lr=0.05),
        torch.optim.Adam(model.parameters(), lr=5e-3),
        torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9),
    )[variant]
    return Plan(
        model,
        loss,
        pairs((30, 45, 60)[variant], inputs[:900], targets[:900]),
        optimizer,
        (450, 400, 300)[variant],
        score,
        goal=0.9,
        shown=("loss", "score", "loss")[variant],
    )


HEALTHY = entries(
    digits_mlp,
    slow_sgd,
    conv_batchnorm,
    resnet_like,
    deep_residual,
    logistic_regression,
    one_logit,
    linear_regression,
    regression,
    sequence_first,
    gru_tokens,
    transformer_padding,
    unet,
    autoencoder,
    multi_label,
    embedding_bag,
    spiral_plateau,
    forecasting,
    next_character,
    hinge,
)
