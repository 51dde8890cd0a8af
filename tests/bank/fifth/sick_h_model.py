"""Sick runs, one fault each: depth, axes, starts, norms, and what gets no gradient."""

from dataclasses import replace
from functools import partial

import torch
from torch.nn.functional import cross_entropy
from torch.optim import SGD, Adam, AdamW, NAdam, RMSprop

from ..runs import Run, accuracy, batched, examiner, stepping, supervised_run
from . import BANK
from . import nets_h as nets
from . import tasks_h as tasks


@BANK.sick("model", "degradation", also=("dead_start",))
def scans_by_twelve_bare_convolutions_h(seed, has):
    """No skips and no norm; the paper's net was deep."""
    model = nets.PlainStack(12 if "degradation" in has else 2, 10)
    optimizer = SGD(model.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-4)
    task = tasks.parted(*tasks.scans())
    run = supervised_run(task, model, optimizer, cross_entropy, accuracy, goal=0.8, steps=320)
    return run.handed(90, "loss")


@BANK.sick("model", "mixed_examples")
def attention_with_batch_first_forgotten_h(seed, has):
    """The encoder layer takes the batch for the time."""
    model = nets.Attentive(24, 16, 4, batch_first="mixed_examples" not in has)
    optimizer = AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
    task = tasks.parted(*tasks.keepsakes(length=16, anywhere=True))
    run = supervised_run(task, model, optimizer, cross_entropy, accuracy, goal=0.85, steps=300)
    return run.handed(0)


@BANK.sick("model", "dead_start")
def graph_layers_of_torch_zeros_h(seed, has):
    """The layer's own weight is nn.Parameter(torch.zeros(...)), never drawn anew."""
    model = nets.GraphNet(4, 3, zero="dead_start" in has)
    train, test = tasks.parted(*tasks.molecules())
    train, test = [((*part[:3],), part[3]) for part in (train, test)]
    batches = [(b[:3], b[3]) for b in batched((*train[0], train[1]), 30)]
    optimizer = Adam(model.parameters(), lr=8e-3)

    def loss(model, batch):
        return cross_entropy(model(batch[0]), batch[1])

    run = Run(model, loss, batches, optimizer, accuracy(test), goal=0.7, steps=300)
    return run.handed(0)


@BANK.sick("model", "batchnorm_tiny_batch")
def two_outlines_a_batch_h(seed, has):
    """The batch was made small for the memory's sake; the norms were left in."""
    model = nets.PooledBN(4)
    size = 2 if "batchnorm_tiny_batch" in has else 64
    optimizer = Adam(model.parameters(), lr=1e-3)
    task = tasks.parted(*tasks.outlines(noise=0.1))
    run = supervised_run(
        task, model, optimizer, cross_entropy, accuracy, goal=0.75, steps=450, size=size
    )
    return run.handed(450, "loss")


@BANK.sick("optimiser", "wrong_parameters")
def chirps_by_blocks_in_a_plain_list_h(seed, has):
    """`self.blocks = [...]`: parameters() does not see them."""
    model = nets.ListedNet(3, registered="wrong_parameters" not in has)
    optimizer = NAdam(model.parameters(), lr=4e-3)
    task = tasks.parted(*tasks.chirps(noise=0.3))
    run = supervised_run(
        task, model, optimizer, cross_entropy, accuracy, goal=0.8, steps=400, keys=("wave", "kind")
    )
    return run.handed(200, "loss")


@BANK.sick("model", "detached")
def state_detached_at_every_word_h(seed, has):
    """The error "backward through the graph a second time" once led to this detach()."""
    model = nets.OwnRecurrence(24, 4, cut="detached" in has)
    optimizer = RMSprop(model.parameters(), lr=3e-3)
    task = tasks.parted(*tasks.keepsakes())
    step = partial(stepping, clip=1.0)
    run = supervised_run(
        task, model, optimizer, cross_entropy, accuracy, goal=0.85, steps=350, size=40, step=step
    )
    return run.handed(120, None)


@BANK.sick("evaluation", "evaluated_in_train_mode", lies=True)
def scans_judged_with_dropout_on_h(seed, has):
    """train() once before the epochs, and no eval() before the test set."""
    task = tasks.parted(*tasks.scans())
    model = nets.FlatNet(8, 10, drop=0.6, hidden=64)
    optimizer = Adam(model.parameters(), lr=4e-3)
    judge = partial(accuracy, training="evaluated_in_train_mode" in has)
    run = supervised_run(task, model, optimizer, cross_entropy, judge, goal=0.88, steps=350)
    run = replace(run, honest=accuracy(task[1]), honest_goal=0.88)
    return run.handed(350, "score")


def found_names(test):
    """The mean recall over the tags."""
    words, tags = test

    def number(model):
        right = model(words).argmax(1) == tags
        return torch.stack([right[tags == k].float().mean() for k in range(4)]).mean()

    return examiner(number)


def penalised(weight):
    def loss(model, batch):
        words, tags = batch
        fit = cross_entropy(model(words), tags)
        return fit + weight * sum(p.square().sum() for p in model.parameters())

    return loss


@BANK.sick("loss", "penalty_in_loss", lies=True)
def tags_with_all_weights_in_the_loss_h(seed, has):
    """The printed loss stays high: it is the L2 term of the embeddings above all."""
    strength = 3e-4
    within = "penalty_in_loss" in has
    model = nets.WindowTagger(100, 4)
    task = tasks.parted(*tasks.sightings())
    loss = penalised(strength if within else 0.0)
    optimizer = SGD(
        model.parameters(), lr=0.2, momentum=0.9, weight_decay=0.0 if within else 2 * strength
    )

    def printed(test):
        return examiner(lambda model: -loss(model, test))

    run = supervised_run(
        task, model, optimizer, cross_entropy, printed, goal=-0.2, steps=450, loss=loss
    )
    run = replace(run, honest=found_names(task[1]), honest_goal=0.8)
    return run.handed(450, "loss")
