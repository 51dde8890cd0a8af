"""The run's own step, taken on a copy: what it does to gradients, rate and weights."""

from dataclasses import dataclass, field

import torch

from ._copies import seed_everything
from ._gradients import held_by
from ._run import SEED

CALLS = 9  # of the step, until the optimiser has moved twice (it may accumulate)


@dataclass
class Log:
    """What was seen of a few calls of the run's own step, all on one batch."""

    gradients: list[dict] = field(default_factory=list)  # by name, when the optimiser moved
    calls: list[int] = field(default_factory=list)  # the calls in which it did
    rates: list[float] = field(default_factory=list)
    modes: list[bool] = field(default_factory=list)  # of layers that differ, at each pass
    closure: bool = False  # whether the optimiser was given one
    before: dict = field(default_factory=dict)
    after_one: dict = field(default_factory=dict)
    after: dict = field(default_factory=dict)


def step_log(exam, *, forget=False, batch=None, clean=False, moves=2) -> Log:
    """Calls the step until the optimiser has moved so often.

    `forget` clears the gradients after its first move, `clean` its state before.
    """
    twin, batch = exam.run.twin(), exam.run.batches[0] if batch is None else batch
    log, names = Log(), dict(twin.model.named_parameters())
    moved = []

    def before_move(optimizer, args, kwargs):
        log.closure |= len(args) > 1 or kwargs.get("closure") is not None
        held = held_by(optimizer)
        grads = {
            n: p.grad.detach().clone()
            for n, p in names.items()
            if p.grad is not None and id(p) in held
        }
        log.gradients.append(grads)
        log.rates.append(float(optimizer.param_groups[0]["lr"]))
        moved.append(True)

    hooks = [
        layer.register_forward_pre_hook(lambda m, a: log.modes.append(m.training))
        for layer in switching(twin.model)
    ]
    if twin.optimizer is not None:
        hooks.append(twin.optimizer.register_step_pre_hook(before_move))
    if clean and twin.optimizer is not None:
        twin.optimizer.state.clear()
    if exam.run.model.training or clean or not exam.run.has_taken_steps:
        twin.model.train()
    log.before = {n: p.detach().clone() for n, p in names.items()}
    for call in range(CALLS):
        seed_everything(SEED)
        moved.clear()
        twin.own_step(batch)
        if moved:
            log.calls.append(call)
            if len(log.calls) == 1:
                log.after_one = {n: p.detach().clone() for n, p in names.items()}
                for parameter in names.values() if forget else ():
                    parameter.grad = None
            if len(log.calls) == moves:
                break
        if not log.after_one and any(not torch.equal(log.before[n], p) for n, p in names.items()):
            log.after_one = {n: p.detach().clone() for n, p in names.items()}
    log.after = {n: p.detach().clone() for n, p in names.items()}
    for hook in hooks:
        hook.remove()
    return log


def own_step(exam) -> None:
    """The step twice: is the gradient this batch's, does it move the weights, and downhill."""
    if exam.run.optimizer is None and exam.run.step is None:
        exam.untested.append("the training step (neither optimizer nor step was handed over)")
        return
    log = step_log(exam)
    exam.measured["rates"] = log.rates
    mode(exam, log)
    memberships(exam)
    direction(exam, log)
    if exam.run.optimizer is None:
        return
    if not log.calls:
        still = all(torch.equal(log.before[n], log.after[n]) for n in log.before)
        exam.measured["stands_still"] = still  # or accumulates over more: the trials will tell
        return
    rate(exam, log)
    adam_state(exam)
    if log.calls[0] == 0:
        one_batch(exam)
    if len(log.calls) == 2:
        stale(exam, log)
    same_gradient(exam, log)


def one_batch(exam) -> None:
    """Whether the step does the same whatever batch it is given."""
    batches = exam.run.batches
    if exam.run.step is None or len(batches) < 2 or exam.found("same_batch"):
        return
    given = [step_log(exam, batch=batch, moves=1).gradients[:1] for batch in batches[:2]]
    if all(given) and given[0][0].keys() == given[1][0].keys() and given[0][0]:
        first, second = (flat(log[0]) for log in given)
        if torch.equal(first, second) and float(first.norm()) > 0:
            exam.add(
                "same_batch",
                "certain",
                "the step's gradient is the same, to the last bit, for two different batches",
                "another batch, another gradient: the step keeps an old one",
            )


def adam_state(exam) -> None:
    """Adam's own numbers: its epsilon beside the root of v, by which it divides."""
    optimizer = exam.run.optimizer
    roots = [state["exp_avg_sq"].sqrt().flatten() for state in optimizer.state.values()
             if "exp_avg_sq" in state]  # fmt: skip
    if roots:
        exam.measured["median_root_v"] = float(torch.cat(roots).median())
        exam.measured["epsilon"] = float(optimizer.param_groups[0]["eps"])


def mode(exam, log: Log) -> None:
    """Training in eval(): dropout off, BatchNorm by statistics that no longer follow."""
    if log.modes and not any(log.modes):
        exam.add(
            "eval_mode",
            "certain",
            "dropout and BatchNorm are in eval() mode in every forward pass of the step",
            "train(): this model has layers that differ between the two",
        )


def switching(model) -> list:
    """The layers that differ between the modes and belong to a part that learns."""
    kinds = torch.nn.modules.batchnorm._BatchNorm | torch.nn.modules.dropout._DropoutNd
    parts, found = dict(model.named_modules()), []
    for name, module in parts.items():
        if isinstance(module, kinds):
            own = any(True for _ in module.parameters())
            part = module if own else parts[name.rpartition(".")[0]]
            found += [module] if any(p.requires_grad for p in part.parameters()) else []
    return found


def memberships(exam) -> None:
    """Weights that no optimiser holds, and an optimiser that holds others."""
    optimizer = exam.run.optimizer
    if optimizer is None:
        return
    held = held_by(optimizer)
    mine = {n: p for n, p in exam.run.model.named_parameters() if p.requires_grad}
    missing = [n for n, p in mine.items() if id(p) not in held and n in exam.gradient]
    share = sum(mine[n].numel() for n in missing) / max(sum(p.numel() for p in mine.values()), 1)
    exam.measured["share_of_weights_in_no_optimiser"] = share
    exam.missing = missing
    if mine and not any(id(p) in held for p in exam.run.model.parameters()):
        exam.add(
            "foreign_optimiser",
            "certain",
            f"none of the {len(mine)} tensors of weights is in the optimiser",
            "all that should learn; was the model rebuilt, or moved, after the optimiser was made?",
        )


def direction(exam, log: Log) -> None:
    """The first move, without what earlier ones left in the optimiser: downhill, and how long."""
    if exam.run.has_taken_steps:
        if log.calls != [0, 1]:
            return  # it accumulates: old momentum cannot be told from the move
        log = step_log(exam, clean=True, moves=1)
    names = [n for n in exam.gradient if n in log.after_one]
    if not names:
        return
    move = flat({n: log.after_one[n] - log.before[n] for n in names})
    own, weights = (
        flat({n: exam.gradient[n] for n in names}),
        flat({n: log.before[n] for n in names}),
    )
    exam.measured["relative_size_of_a_step"] = float(move.norm() / weights.norm().clamp_min(1e-12))
    if float(move.norm()) == 0 or float(own.norm()) == 0:
        return
    cosine = exam.measured["cosine_of_step_and_gradient"] = float(
        torch.dot(move, own) / (move.norm() * own.norm())
    )
    if cosine > 0.2 and not exam.found("rate_sign"):
        exam.add(
            "uphill",
            "certain",
            f"the step goes along the loss's gradient, not against it (cosine {cosine:.2f})",
            "below 0: a step goes down",
            cosine=cosine,
        )


def rate(exam, log: Log) -> None:
    """The sign of the rate."""
    lowest = min(log.rates)
    if lowest < 0:
        exam.add(
            "rate_sign",
            "certain",
            f"the learning rate is {lowest:.3g}",
            "above 0: below, every step climbs",
            rate=lowest,
        )


def stale(exam, log: Log) -> None:
    """Whether the second move's gradient depends on what the first one left behind."""
    cleared = step_log(exam, forget=True)
    if len(cleared.gradients) < 2:
        return
    kept, clean = (flat(run.gradients[1]) for run in (log, cleared))
    if kept.numel() != clean.numel() or not kept.numel():
        return
    share = float((kept - clean).norm() / clean.norm().clamp_min(1e-12))
    exam.measured["share_of_old_gradient"] = share
    if share <= 0.05:
        return
    again = step_log(exam)
    if not torch.equal(flat(again.gradients[-1]), kept):
        exam.untested.append("old gradients (the step draws data of its own)")
    else:
        exam.add(
            "stale_gradients",
            "certain",
            f"the second step's gradient holds {share:.0%} of the first one's; it should hold 0 %",
            "0 %: gradients are cleared once the optimiser has moved",
            share=share,
        )


def same_gradient(exam, log: Log) -> None:
    """The gradient that the optimiser was given, against the loss's own of that batch."""
    names = sorted(exam.gradient.keys() & log.gradients[0].keys())
    if not names and log.closure:
        return  # which computes the gradient within the optimiser's step
    if not names:
        exam.add(
            "no_step",
            "likely",
            "when the optimiser moves, no weight has a gradient",
            "the gradient of this batch: is it cleared between backward() and step()?",
        )
        return
    given = flat({n: log.gradients[0][n] for n in names})
    own = flat({n: exam.gradient[n] for n in names})
    size = float(given.norm() / own.norm().clamp_min(1e-20))
    cosine = float(torch.dot(given, own) / (given.norm() * own.norm()).clamp_min(1e-20))
    ratio = given / torch.where(own == 0, torch.ones_like(own), own)
    cut = float(((ratio >= -1e-6) & (ratio <= 1.001)).double().mean())
    exam.measured |= {
        "gradient_given_over_own": size,
        "cosine_of_given_and_own": cosine,
        "share_of_gradient_cut": cut,
    }
    if float(given.norm()) == 0 and float(own.norm()) > 0:
        exam.add(
            "no_step",
            "certain",
            "when the optimiser moves, every gradient is exactly 0; the loss's own is "
            f"{float(own.norm()):.3g}",
            "the gradient of this batch: is it cleared between backward() and step()?",
        )
    elif cosine < -0.5 and not exam.found("uphill"):
        exam.add(
            "uphill",
            "certain",
            f"the step's gradient points against the loss's own (cosine {cosine:.2f})",
            "above 0: the step maximises the loss",
        )


def flat(gradients: dict) -> torch.Tensor:
    """All gradients as one vector."""
    parts = [g.detach().double().flatten() for _, g in sorted(gradients.items())]
    return torch.cat(parts) if parts else torch.zeros(0)
