"""Examines a broken run by trying things on copies of it; needs torch and numpy, nothing else."""

from ._exam import examined
from ._findings import Finding, Report
from ._guard import Broke, guard
from ._run import Run, Unsupported

__all__ = ["Broke", "Finding", "Report", "Unsupported", "checkup", "guard"]


def checkup(
    model, loss, batches, optimizer=None, step=None, shown=None, *, progress=True
) -> Report:
    """What keeps a training run from learning, found by trying things on copies of it.

    model : torch.nn.Module
        As it is now, fresh or trained; of any architecture and output.
    loss : callable
        `loss(model, batch)` gives the one number that is minimised; `loss(model, x, y)` of
        batches that are pairs, or a loss of torch's own (`nn.CrossEntropyLoss()`), will do.
    batches : list or loader
        Batches of the training data, of whatever make the loss takes. The first 24 are looked
        at, and of small ones as many as hold 512 examples.
    optimizer : torch.optim.Optimizer, optional
    step : callable, optional
        `step(model, optimizer, batch)`, the run's own training step if it is not the plain one:
        schedule, clipping, accumulation and scaler included. It works on what it is given.
    shown : float, optional
        The loss or the accuracy on the screen.
    progress : bool
        Whether the test that runs is written to the error stream.

    Returns a `Report`. Model, optimiser, buffers, gradients and random state are afterwards what
    they were, to the last bit. Before the trials it takes about 30 passes; the trials train copies
    of the model for a few hundred steps each (their cost is said first), and Ctrl-C ends them and
    keeps what was found. Raises `Unsupported`, with a recipe, for what it cannot examine.
    """
    return examined(Run(model, loss, batches, optimizer, step, shown), progress)
