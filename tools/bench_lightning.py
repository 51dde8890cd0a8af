"""The benchmark's experiments in PyTorch Lightning, with everything optional off."""

import logging
import warnings

import pytorch_lightning as pl
from bench_experiments import Problem, wrong
from torch.utils.data import DataLoader

logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)  # a banner for every Trainer
warnings.filterwarnings("ignore", module="pytorch_lightning")  # advice on the number of workers


class Module(pl.LightningModule):
    """Keeps losses as tensors: Lightning asks nobody to read them at each step."""

    def __init__(self, problem: Problem):
        super().__init__()
        self.model, self.problem = problem.model, problem
        self.losses, self.errors = [], []

    def training_step(self, batch, number):
        problem, (inputs, targets) = self.problem, batch
        outputs = self.model(inputs)
        data = loss = problem.criterion(outputs, targets)
        if problem.penalty is not None:
            loss = data + problem.penalty(self.model)
        self.losses.append((loss.detach(), data.detach()))
        if problem.new is not None and number % 10 == 0:
            self.errors.append(wrong(outputs.detach(), targets))
        return loss

    def configure_optimizers(self):
        return self.problem.optimizer


def loop(problem: Problem, loader: DataLoader) -> list[float]:
    """Losses of all steps; `barebones` is Lightning's own name for everything optional off."""
    module = Module(problem)
    trainer = pl.Trainer(accelerator="cpu", devices=1, max_epochs=1, barebones=True)
    trainer.fit(module, loader)
    problem.errors()
    return [loss.item() for loss, _ in module.losses]
