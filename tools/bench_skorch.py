"""The benchmark's experiments in skorch, without callbacks and without a validation split."""

from bench_experiments import Problem, wrong
from skorch import NeuralNet
from torch import nn
from torch.utils.data import DataLoader


class Net(NeuralNet):
    """A net whose loss has a penalty and whose optimiser has groups, as the experiments want."""

    def initialize_optimizer(self, triggered_directly=None):
        self.optimizer_ = self.problem.optimizer
        return self

    def get_loss(self, y_pred, y_true, X=None, training=False):
        problem = self.problem
        data = loss = problem.criterion(y_pred, y_true)
        if problem.penalty is not None:
            loss = data + problem.penalty(self.module_)
        if problem.new is not None and len(self.data_losses) % 10 == 0:
            self.errors.append(wrong(y_pred.detach(), y_true))
        self.data_losses.append(data.detach())
        return loss


def loop(problem: Problem, loader: DataLoader) -> list[float]:
    """Losses of all steps, from the history that skorch itself keeps."""
    net = Net(
        problem.model, criterion=nn.Identity, max_epochs=1, train_split=None,
        callbacks="disable", verbose=0, iterator_train=lambda dataset, **_: loader,
    )  # fmt: skip
    net.problem, net.data_losses, net.errors = problem, [], []
    net.fit(loader.dataset, None)
    problem.errors()
    return net.history[-1, "batches", :, "train_loss"]
