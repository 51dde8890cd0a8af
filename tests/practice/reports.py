"""Public reports of broken runs, rebuilt: what is handed over is what their authors had."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F


def digits(seed: int, images: bool = False):
    """The bundled digits in random order, pixels 0 to 1, as vectors or images."""
    data = load_digits()
    order = torch.randperm(len(data.target), generator=torch.Generator().manual_seed(seed))
    inputs = torch.tensor(data.data / 16, dtype=torch.float32)[order]
    return inputs.view(-1, 1, 8, 8) if images else inputs, torch.tensor(data.target)[order]


def cut(inputs, targets, size: int) -> list:
    """Pairs in batches of one size."""
    return list(zip(inputs.split(size), targets.split(size), strict=True))


def cross_entropy(model, batch):
    """The loss of nearly all of them."""
    return F.cross_entropy(model(batch[0]), batch[1])


def trained(model, loss, batches, optimizer, steps: int, schedule=None, step=None, shown=None):
    """The run after some of its own steps, as `checkup` takes it."""
    for number in range(steps):
        batch = batches[number % len(batches)]
        if step is not None:
            step(model, optimizer, batch)
        else:
            optimizer.zero_grad()
            value = loss(model, batch)
            value.backward()
            optimizer.step()
        if schedule is not None:
            schedule.step()
    return dict(
        model=model, loss=loss, batches=batches, optimizer=optimizer, step=step, shown=shown
    )


def summed_micro_batches(seed: int) -> dict:
    """huggingface/transformers 37766: the losses of eight micro-batches are summed for the log."""
    torch.manual_seed(seed)
    inputs, labels = digits(seed)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    batches = cut(inputs[:1344], labels[:1344], 16)
    run = trained(model, cross_entropy, batches, optimizer, 80)
    with torch.no_grad():
        run["shown"] = sum(float(cross_entropy(model, batch)) for batch in batches[:8])
    return run


def plain_deep(seed: int) -> dict:
    """soumith/imagenet-multiGPU.torch 2: deep, without BatchNorm, never leaves ln C."""
    torch.manual_seed(seed)
    inputs, labels = digits(seed, images=True)
    layers, channels = [], 1
    for _ in range(14):
        layers += [nn.Conv2d(channels, 16, 3, padding=1), nn.ReLU()]
        channels = 16
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return trained(model, cross_entropy, cut(inputs, labels, 64), optimizer, 60)


def same_pairs(seed: int) -> dict:
    """1204BUPT/Zhu-Net 1: by an error in a path both labels come with the same image."""
    torch.manual_seed(seed)
    images, _ = digits(seed, images=True)
    inputs = images[:400].repeat_interleave(2, 0)
    labels = torch.arange(2).repeat(400)
    layers = []
    for before, after in ((1, 16), (16, 16), (16, 32)):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU()]
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    return trained(model, cross_entropy, cut(inputs, labels, 64), optimizer, 60, shown=0.6931)


def double_softmax(seed: int) -> dict:
    """ariecattan/SciCo 2: softmax in the model and in the loss; accuracy is near perfect."""
    torch.manual_seed(seed)
    inputs, labels = digits(seed)
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10), nn.Softmax(dim=1))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    return trained(model, cross_entropy, cut(inputs, labels, 64), optimizer, 600, shown=1.47)


class Bounded(torch.optim.Optimizer):
    """A step that shrinks with the 1-norm of all gradients together."""

    def __init__(self, params, lr=1.0, kappa=2.0):
        super().__init__(params, dict(lr=lr, kappa=kappa))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            total = float(sum(p.grad.abs().sum() for p in group["params"]))
            size = group["lr"] / max(1.0, group["lr"] * group["kappa"] * total)
            for parameter in group["params"]:
                parameter.add_(parameter.grad, alpha=-size)


def global_norm_step(seed: int) -> dict:
    """mohmdelsayed/streaming-drl 13: the larger the network, the smaller its steps."""
    torch.manual_seed(seed)
    inputs, labels = digits(seed)
    model = nn.Sequential(
        nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)
    )
    batches = cut(inputs, labels, 32)
    return trained(model, cross_entropy, batches, Bounded(model.parameters()), 150)


def small_batches_equal_epochs(seed: int) -> dict:
    """jwyang/faster-rcnn.pytorch 305: at equal epochs a small batch takes more steps. Healthy."""
    torch.manual_seed(seed)
    inputs, labels = digits(seed)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    batches = cut(inputs[:1296], labels[:1296], 24)
    return trained(model, cross_entropy, batches, optimizer, 162)


def one_folder(seed: int) -> dict:
    """easezyc/deep-transfer-learning 4: the image folder is one level too high; one class."""
    torch.manual_seed(seed)
    inputs, labels = digits(seed, images=True)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    batches = cut(inputs[:320], torch.zeros_like(labels[:320]), 32)
    return trained(model, cross_entropy, batches, optimizer, 30, shown=0.0)


def one_channel(seed: int) -> dict:
    """bowang-lab/MedSAM 99: cross-entropy over an axis of length 1 is exactly 0."""
    torch.manual_seed(seed)
    images, _ = digits(seed, images=True)
    masks = (images > 0.5).float()
    model = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 1))
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    return trained(model, cross_entropy, cut(images, masks, 32), optimizer, 20, shown=0.0)


def negative_rate(seed: int) -> dict:
    """ziqi-jin/finetune-anything 57: a schedule of epochs is stepped at every iteration."""
    torch.manual_seed(seed)
    inputs, labels = digits(seed)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: 1.0 - max(0, step - 200) / 201.0
    )
    return trained(model, cross_entropy, cut(inputs, labels, 64), optimizer, 420, schedule)


REPORTS = {  # the causes that are right, and the part that is
    "summed_micro_batches": (summed_micro_batches, ("number_on_screen",), "display"),
    "plain_deep": (plain_deep, ("too_deep", "initialisation"), "model"),
    "same_pairs": (same_pairs, ("labels_say_nothing",), "labels"),
    "double_softmax": (double_softmax, ("softmax_twice",), "model"),
    "global_norm_step": (global_norm_step, ("rate_low", "optimiser"), "optimiser"),
    "small_batches_equal_epochs": (small_batches_equal_epochs, (), ""),
    "one_folder": (one_folder, ("one_class",), "labels"),
    "one_channel": (one_channel, ("one_channel",), "model"),
    "negative_rate": (negative_rate, ("rate_sign",), "optimiser"),
}
