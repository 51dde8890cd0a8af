"""The one vocabulary of causes, and how often published collections met each group of them."""

from typing import NamedTuple

# Share of a group among the causes that show in training, in per cent (README.md says whence).
ROWS = {
    "structure": 18,
    "preprocessing": 17,
    "loss": 12,
    "activation": 12,
    "data": 9,
    "epochs": 7,
    "rate": 7,
    "optimiser": 6,
    "batch": 5,
    "initialisation": 2,
    "evaluation": 1.5,
    "loop": 1,
}


class Cause(NamedTuple):
    """A cause, what it means, the row of ROWS it belongs to, and whether the course lacks it."""

    name: str
    meaning: str
    row: str
    foreign: bool = True


CAUSES = (
    Cause("degradation", "a plain net too deep for its optimiser", "structure", False),
    Cause("too_small", "far too few units for the task", "structure"),
    Cause("dropout_too_strong", "dropout leaves too little of the signal", "structure"),
    Cause("mixed_examples", "a reshape or a wrong axis mixes the examples", "structure"),
    Cause("unscaled_inputs", "inputs of raw, or very unequal, scale", "preprocessing"),
    Cause("unscaled_targets", "targets of raw scale, far from the outputs", "preprocessing"),
    Cause("not_finite_inputs", "NaN or infinity within the inputs", "preprocessing"),
    Cause("inputs_destroyed", "preprocessing wipes out what the inputs tell", "preprocessing"),
    Cause("wrong_loss", "a loss that does not fit outputs and targets", "loss"),
    Cause("loss_sign", "what should rise is minimised", "loss"),
    Cause("broadcasting", "(N, 1) against (N,): all with all", "loss"),
    Cause("penalty_in_loss", "the L2 penalty makes most of the reported loss", "loss", False),
    Cause("double_softmax", "softmax or sigmoid is applied twice", "activation"),
    Cause("relu_on_output", "a ReLU cuts the outputs off at 0", "activation"),
    Cause("no_activation", "no nonlinearity between the layers", "activation"),
    Cause(
        "clipped_probabilities", "saturated, clipped probabilities: no slope", "activation", False
    ),
    Cause("labels_misaligned", "labels that belong to other inputs", "data"),
    Cause("imbalance", "rare positives: a small loss, nothing learnt", "data", False),
    Cause("label_prior", "only the labels' frequencies are learnt", "data", False),
    Cause("too_few_steps", "stopped long before it has learnt", "epochs"),
    Cause("rate_too_high", "learning rate too high by decades", "rate"),
    Cause("rate_too_low", "learning rate too low by decades", "rate"),
    Cause("schedule_to_zero", "the schedule ends the learning early", "rate"),
    Cause("adam_epsilon", "Adam's epsilon swamps the gradients", "optimiser", False),
    Cause("weight_decay", "weight decay far too strong", "optimiser"),
    Cause("clipping_too_tight", "gradients clipped to nearly nothing", "optimiser"),
    Cause("wrong_parameters", "the optimiser lacks the weights that must learn", "optimiser"),
    Cause("batchnorm_tiny_batch", "batch statistics of one or two examples", "batch"),
    Cause("dead_start", "the start lets no signal or gradient through", "initialisation", False),
    Cause("evaluated_in_train_mode", "dropout or batch noise at evaluation", "evaluation"),
    Cause("missing_zero_grad", "gradients of all steps add up", "loop"),
    Cause("detached", "the graph is cut: part of the net gets no gradient", "loop"),
)
NAMES = {cause.name: cause for cause in CAUSES}
PARTS = "data labels inputs model outputs loss optimiser loop evaluation".split()
