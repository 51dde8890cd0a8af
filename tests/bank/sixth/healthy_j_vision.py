"""Healthy runs on pictures: classes, masks, boxes and landmarks, repairs."""

import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import SGD, Adam, AdamW, NAdam, RMSprop

from ..runs import Run, accuracy, batched, examiner, overlap, stepping, supervised
from . import BANK
from . import tasks_j as tasks
from .nets_j import (
    Boxer,
    Centers,
    Enlarger,
    Residue,
    SoftArgmax,
    UNet,
    UNet1d,
    ViT,
    dilated,
    grid_detector,
    mlp,
    mobile,
    small_cnn,
)


def cosine(peak, steps, warm=0):
    def rate(done):
        if done < warm:
            return peak * (done + 1) / warm
        return peak * 0.5 * (1 + math.cos(math.pi * (done - warm) / (steps - warm)))

    return rate


def mixed(model, batch):
    """Mixup: pictures and labels of two examples, in random shares."""
    x, y = batch
    share = float(torch.distributions.Beta(0.4, 0.4).sample())
    other = torch.randperm(len(x))
    out = model(share * x + (1 - share) * x[other])
    return share * F.cross_entropy(out, y) + (1 - share) * F.cross_entropy(out, y[other])


def mixup_digits():
    train, test = tasks.wandering(12, 0.08)
    model = small_cnn(10, 16)
    optimizer = SGD(model.parameters(), 0.1, momentum=0.9, weight_decay=5e-4)
    step = stepping(mixed, schedule=cosine(0.1, 600))
    return Run(model, mixed, batched(train, 64), optimizer, accuracy(test), 0.86, 600, step=step)


def patches_of_stripes():
    train, test = tasks.gratings(2400, 16, 6, 0.4)
    model = ViT(16, 4, 32, 4, 2, 6)
    optimizer = AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
    loss = supervised(nn.CrossEntropyLoss(label_smoothing=0.1))
    step = stepping(loss, schedule=cosine(2e-3, 400, 40), clip=1.0)
    return Run(model, loss, batched(train, 48), optimizer, accuracy(test), 0.85, 400, step=step)


def mobile_figures():
    x, y, *_ = tasks.one_figure(2400)
    train, test = tasks.split(x, y)
    model = mobile(4, 24, 2)
    optimizer = RMSprop(model.parameters(), lr=3e-3, alpha=0.95)
    loss = supervised(nn.CrossEntropyLoss())
    batches = batched(train, 32, ("image", "label"))
    step = stepping(loss, schedule=lambda done: 3e-3 * 0.98 ** (done // 4))
    return Run(model, loss, batches, optimizer, accuracy(test), 0.82, 420, step=step)


def which_are_there():
    x, _, _, there, kinds = tasks.some_figures(2400, 28, 0.04)
    tags = torch.stack([((kinds == k) & there).any(1) for k in range(4)], 1).float()
    train, test = tasks.split(x, tags)
    model = small_cnn(4, 16, channels=3)
    optimizer = Adam(model.parameters(), lr=6e-3)
    loss = supervised(nn.BCEWithLogitsLoss())
    step = stepping(loss, schedule=cosine(6e-3, 500, 30))

    def number(model):
        return ((model(test[0]) > 0) == (test[1] > 0.5)).float().mean()

    batches = batched(train, 32)
    return Run(model, loss, batches, optimizer, examiner(number), 0.82, 500, step=step)


@BANK.healthy(
    {"make": mixup_digits, "at": (0, None)},
    {"make": patches_of_stripes, "at": (385, "loss")},
    {"make": mobile_figures, "at": (210, "score")},
    {"make": which_are_there, "at": (0, None)},
)
def images_j(seed, make, at):
    return make().handed(*at)


def dice(logits, targets):
    p = logits.sigmoid().flatten(1)
    t = targets.flatten(1)
    return 1 - ((2 * (p * t).sum(1) + 1) / (p.sum(1) + t.sum(1) + 1)).mean()


def masks_of_figures():
    x, _, masks, _ = tasks.one_figure(600, noise=0.25)
    train, test = tasks.split(x, masks[:, None].float())
    model = UNet(3, 1, 8)

    def loss(model, batch):
        out = model(batch["image"])
        both = F.binary_cross_entropy_with_logits(out, batch["mask"])
        return both + dice(out, batch["mask"])

    optimizer = Adam(model.parameters(), lr=2e-3)
    batches = batched(train, 16, ("image", "mask"))
    return Run(model, loss, batches, optimizer, overlap(test), 0.85, 200)


def mean_overlap(out, y, classes):
    said = out.argmax(1)
    shares = []
    for k in range(classes):
        a, b = said[y != 255] == k, y[y != 255] == k
        shares.append((a & b).sum() / (a | b).sum().clamp(min=1))
    return torch.stack(shares).mean()


def kinds_by_pixel():
    x, kind, masks, _ = tasks.one_figure(1500, noise=0.1)
    y = torch.where(masks, kind.view(-1, 1, 1) + 1, 0)
    wide = F.max_pool2d(masks[:, None].float(), 3, 1, 1)[:, 0] > 0
    y[wide & ~masks] = 255
    train, test = tasks.split(x, y)
    model = UNet(3, 5, 8)
    loss = supervised(nn.CrossEntropyLoss(ignore_index=255))
    optimizer = AdamW(model.parameters(), lr=6e-3, weight_decay=1e-3)
    step = stepping(loss, schedule=lambda done: 6e-3 * (1 - done / 420) ** 0.9)
    judge = examiner(lambda model: mean_overlap(model(test[0]), test[1], 5))
    return Run(model, loss, batched(train, 24), optimizer, judge, 0.75, 400, step=step)


def waves_of_a_heart():
    train, test = tasks.beats(700)
    model = UNet1d(4)
    loss = supervised(nn.CrossEntropyLoss(weight=torch.tensor([0.4, 1.2, 1.5, 1.0])))
    optimizer = AdamW(model.parameters(), lr=3e-3)
    judge = examiner(lambda model: mean_overlap(model(test[0]), test[1], 4))
    return Run(model, loss, batched(train, 16), optimizer, judge, 0.7, 300)


def focal(logits, targets, gamma=2.0, alpha=0.6):
    ce = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    right = torch.exp(-ce)
    weight = alpha * targets + (1 - alpha) * (1 - targets)
    return (weight * (1 - right) ** gamma * ce).mean()


def small_figures_in_noise():
    x, masks, *_ = tasks.some_figures(400, noise=0.2)
    train, test = tasks.split(x, masks.any(1)[:, None].float())
    model = dilated(3, 1)
    optimizer = NAdam(model.parameters(), lr=3e-3)
    return Run(model, supervised(focal), batched(train, 8), optimizer, overlap(test), 0.75, 240)


@BANK.healthy(
    {"make": masks_of_figures, "at": (0, None)},
    {"make": kinds_by_pixel, "at": (388, "loss")},
    {"make": waves_of_a_heart, "at": (130, "loss")},
    {"make": small_figures_in_noise, "at": (225, None)},
)
def masks_j(seed, make, at):
    return make().handed(*at)


def corners(box):
    return torch.cat([box[..., :2] - box[..., 2:] / 2, box[..., :2] + box[..., 2:] / 2], -1)


def iou(a, b):
    """Of boxes (centre and size), one by one."""
    a, b = corners(a), corners(b)
    low, high = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    both = (high - low).clamp(min=0).prod(-1)
    return both / ((a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1) - both)


def one_box():
    x, kind, _, box = tasks.one_figure(2000)
    train, test = tasks.split(x, kind, box)
    model = Boxer(4)

    def loss(model, batch):
        image, label, box = batch
        said, where = model(image)
        return F.cross_entropy(said, label) + 5 * F.smooth_l1_loss(where, box, beta=0.1)

    def number(model):
        said, where = model(test[0])
        return ((said.argmax(1) == test[1]) & (iou(where, test[2]) > 0.5)).float().mean()

    optimizer = Adam(model.parameters(), lr=2e-3)
    step = stepping(loss, schedule=cosine(2e-3, 450))
    return Run(model, loss, batched(train, 32), optimizer, examiner(number), 0.75, 450, step=step)


def found_share(said, scores, test_boxes, there):
    """F1 of boxes over a threshold, each matched with a quarter's figure."""
    hit = (iou(said, test_boxes) > 0.5) & there & (scores > 0.4)
    return 2 * hit.sum() / ((scores > 0.4).sum() + there.sum())


def splat(box, there, side):
    """Gaussian peaks at the centres, exactly 1 in the middle, as CenterNet has them."""
    place = torch.arange(side)
    at = (box[..., :2] * side).long()
    x, y = at[..., 0, None, None], at[..., 1, None, None]
    away = (place.view(1, 1, 1, -1) - x) ** 2 + (place.view(1, 1, -1, 1) - y) ** 2
    heat = torch.exp(-away / 2 / 0.8**2) * there[..., None, None]
    return heat.amax(1), at


def centre_loss(model, batch):
    heat, size = model(batch["image"])
    p = heat[:, 0].sigmoid().clamp(1e-4, 1 - 1e-4)
    goal, sure = batch["heat"], batch["heat"] == 1
    near = torch.where(sure, (1 - p) ** 2 * p.log(), (1 - goal) ** 4 * p**2 * (1 - p).log())
    count = sure.sum().clamp(min=1)
    rows, q = batch["there"].nonzero(as_tuple=True)
    at = batch["at"][rows, q]
    sizes = size[rows, :, at[:, 1], at[:, 0]]
    return (-near.sum() + F.l1_loss(sizes, batch["box"][rows, q, 2:], reduction="sum")) / count


def centres():
    x, _, box, there, _ = tasks.some_figures(900)
    box = torch.where(there[..., None], box, 0.0)
    heat, at = splat(box, there, 12)
    train, test = tasks.split(x, heat, at, box, there)
    model = Centers()

    def number(model):
        heat, size = model(test[0])
        p = heat.sigmoid().view(-1, 1, 2, 6, 2, 6).transpose(3, 4).flatten(4).flatten(2, 3)
        best, where = p[:, 0].max(2)
        where = torch.stack([where % 6, where // 6], 2)
        where = where + 6 * torch.tensor([[0, 0], [1, 0], [0, 1], [1, 1]])
        rows = torch.arange(len(best))[:, None]
        sizes = size[rows, :, where[..., 1], where[..., 0]]
        said = torch.cat([(where + 0.5) / 12, sizes], 2)
        return found_share(said, best, test[3], test[4])

    optimizer = Adam(model.parameters(), lr=2e-3)
    batches = batched(train, 16, ("image", "heat", "at", "box", "there"))
    return Run(model, centre_loss, batches, optimizer, examiner(number), 0.8, 250)


def grid_targets(box, there, side):
    """For each field: is a centre in it, where in it, and the root of its size."""
    n = len(box)
    target = torch.zeros(n, 5, side, side)
    rows, q = there.nonzero(as_tuple=True)
    place = box[rows, q, :2] * side
    at = place.long().clamp(max=side - 1)
    values = torch.cat([torch.ones(len(rows), 1), place - at, box[rows, q, 2:].sqrt()], 1)
    target[rows, :, at[:, 1], at[:, 0]] = values
    return target


def grid_loss(model, batch):
    image, target = batch
    out, sure = model(image), target[:, :1]
    exists = F.binary_cross_entropy_with_logits(out[:, :1], sure, reduction="none")
    boxes = (sure * (out[:, 1:].sigmoid() - target[:, 1:]) ** 2).sum((1, 2, 3))
    return (exists * (0.5 + 0.5 * sure)).sum((1, 2, 3)).mean() + 5 * boxes.mean()


def grid():
    x, _, box, there, _ = tasks.some_figures(1200)
    target = grid_targets(box, there, 3)
    train, test = tasks.split(x, target)
    model = grid_detector(5)

    def number(model):
        out, sure = model(test[0]).sigmoid(), test[1][:, 0] > 0.5
        parts = [t[:, 1:].permute(0, 2, 3, 1) for t in (out, test[1])]
        said, true = (torch.cat([p[..., :2] / 3, p[..., 2:] ** 2], -1) for p in parts)
        hit = sure & (out[:, 0] > 0.5) & (iou(said, true) > 0.5)
        return 2 * hit.sum() / ((out[:, 0] > 0.5).sum() + sure.sum())

    optimizer = SGD(model.parameters(), 0.01, momentum=0.9, weight_decay=5e-4)
    step = stepping(grid_loss, schedule=cosine(0.01, 350, 20))
    return Run(
        model, grid_loss, batched(train, 24), optimizer, examiner(number), 0.8, 350, step=step
    )


def ends_of_a_bar(n, side=16):
    """Two landmarks, a bright and a dark one, joined by a line."""
    ends = tasks.between(-0.8, 0.8, n, 2, 2)
    place = torch.linspace(-1, 1, side)
    x = torch.zeros(n, side, side)
    for k in range(9):
        at = ends[:, 0] + (ends[:, 1] - ends[:, 0]) * k / 8
        away = (place - at[:, 0, None, None]) ** 2 + (place[:, None] - at[:, 1, None, None]) ** 2
        x = torch.maximum(x, (1 - 0.08 * k) * torch.exp(-away / 0.012))
    return tasks.split((x + 0.08 * torch.randn(x.shape))[:, None], ends)


def landmarks():
    train, test = ends_of_a_bar(1200)
    model = SoftArgmax(1, 2, 16)
    loss = supervised(nn.L1Loss())

    def number(model):
        return ((model(test[0]) - test[1]).norm(dim=2) < 0.2).float().mean()

    optimizer = Adam(model.parameters(), lr=3e-3)
    batches = batched(train, 32, ("image", "points"))
    return Run(model, loss, batches, optimizer, examiner(number), 0.85, 250)


@BANK.healthy(
    {"make": one_box, "at": (200, "loss")},
    {"make": centres, "at": (0, None)},
    {"make": grid, "at": (335, "score")},
    {"make": landmarks, "at": (90, "score")},
)
def boxes_j(seed, make, at):
    return make().handed(*at)


def gained(test, plain):
    """How much of the plain answer's square error is gone."""
    before = (plain(test[0]) - test[1]).square().mean()
    return examiner(lambda model: 1 - (model(test[0]) - test[1]).square().mean() / before)


def noise_off():
    train, test = tasks.wandering_clean(14, 0.3)
    model = Residue()
    optimizer = Adam(model.parameters(), lr=2e-3)
    loss = supervised(nn.MSELoss())
    judge = gained(test, lambda x: x)
    return Run(model, loss, batched(train, 32), optimizer, judge, 0.75, 300)


def enlarged(x, size=10):
    return F.interpolate(x, size=2 * size, mode="bilinear", align_corners=False)


def twice_as_large():
    _, _, masks, _ = tasks.one_figure(900)
    large = tasks.coloured(masks, 0.0)
    train, test = tasks.split(F.avg_pool2d(large, 2), large)
    model = Enlarger()
    optimizer = Adam(model.parameters(), lr=4e-3)
    loss = supervised(nn.MSELoss())
    step = stepping(loss, schedule=cosine(4e-3, 600))
    batches = batched(train, 24, ("low", "high"))
    return Run(model, loss, batches, optimizer, gained(test, enlarged), 0.4, 600, step=step)


def torn(x):
    """Pictures with a random square of 3 x 3 blanked, beside the mask of it; and the mask."""
    n, side = len(x), x.shape[-1]
    top, left = torch.randint(side - 2, (2, n, 1, 1))
    place = torch.arange(side)
    rows, columns = place.view(1, -1, 1), place.view(1, 1, -1)
    hole = (rows >= top) & (rows < top + 3) & (columns >= left) & (columns < left + 3)
    hole = hole[:, None]
    return torch.cat([x.masked_fill(hole, 0.0), hole.float()], 1), hole


def hole_loss(model, batch):
    """The hole counts, and the rest a little."""
    x = batch["image"]
    given, hole = torn(x)
    wrong = (model(given) - x).square()
    return wrong[hole].mean() + 0.1 * wrong[~hole].mean()


def holes():
    (x, _), (held, _) = tasks.digits()
    given, hole = torn(held)
    model = nn.Sequential(
        nn.Flatten(), mlp(128, 256, 256, 64, act=nn.GELU), nn.Unflatten(1, (1, 8, 8))
    )
    plain = (held - x.mean(0))[hole].square().mean()
    judge = examiner(lambda model: 1 - (model(given) - held)[hole].square().mean() / plain)
    optimizer = AdamW(model.parameters(), lr=2e-3, weight_decay=0.01, betas=(0.9, 0.95))
    step = stepping(hole_loss, schedule=cosine(2e-3, 1200, 60))
    batches = batched((x,), 64, ("image",))
    return Run(model, hole_loss, batches, optimizer, judge, 0.5, 1200, step=step)


def grey_to_colour():
    """Which part is which, in colours that follow from the brightness and the place."""
    _, _, masks, _ = tasks.one_figure(700)
    grey = torch.where(masks[:, None], 0.75, 0.25) + 0.05 * torch.randn(len(masks), 1, 20, 20)
    size = masks.float().mean((1, 2)).view(-1, 1, 1)
    size = (size - size.min()) / (size.max() - size.min())
    colours = torch.stack([masks * size, masks * (1 - size), (~masks) * 0.6], 1).float()
    return tasks.split(grey, colours)


def colouring():
    train, test = grey_to_colour()
    model = nn.Sequential(UNet(1, 3, 8), nn.Sigmoid())
    optimizer = SGD(model.parameters(), 0.3, momentum=0.9)
    mean = train[1].mean((0, 2, 3)).view(1, 3, 1, 1)
    judge = gained(test, lambda x: mean)
    return Run(model, supervised(nn.MSELoss()), batched(train, 12), optimizer, judge, 0.8, 250)


@BANK.healthy(
    {"make": noise_off, "at": (285, "loss")},
    {"make": twice_as_large, "at": (0, None)},
    {"make": holes, "at": (500, "loss")},
    {"make": colouring, "at": (240, None)},
)
def repairs_j(seed, make, at):
    return make().handed(*at)
