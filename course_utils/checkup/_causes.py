"""The causes that `checkup` can name: where each lies, what it means, what to try first."""

from dataclasses import dataclass

N00, N01, N02 = "00_start_here", "01_bigger_model_higher_loss", "02_deeper_but_worse"
N03, N04, N05 = "03_smaller_not_faster", "04_too_good_too_fast", "05_adam_explosion"


@dataclass(frozen=True)
class Cause:
    """What a finding of this name says."""

    part: str  # display, inputs, labels, batches, model, loss, optimiser or loop
    means: str
    try_first: str
    notebook: str = ""


# In the order of rank among findings that are equally sure: what explains the others comes first.
CAUSES = {
    "not_finite": Cause(
        "loss",
        "A root of 0, a logarithm of 0, a division by 0, or a number beyond the precision.",
        "Mend the operation that is named, or the one after it in your code: a small number under "
        "a root, a logarithm or a division. In half precision: scale the loss.",
        N00,
    ),
    "inputs_not_finite": Cause(
        "inputs",
        "One missing value makes every weight NaN at the first step.",
        "Find and fill missing values before training; check each batch once.",
    ),
    "ignored_labels": Cause(
        "labels", "The loss averages over nothing.", "Look at how the labels are masked."
    ),
    "one_class": Cause(
        "labels",
        "There is nothing to tell apart: the loss falls to 0 and means nothing.",
        "Look at the folder or column that the labels come from.",
        N04,
    ),
    "inputs_constant": Cause(
        "inputs",
        "Every example, or many a one, looks the same to the model.",
        "Look at what the loader reads.",
    ),
    "imbalance": Cause(
        "labels",
        "Always to answer the most frequent class is nearly right, and is what was learnt.",
        "Print the share of each class and the accuracy on each; weigh the loss.",
        N04,
    ),
    "labels_say_nothing": Cause(
        "labels",
        "The labels do not follow from the inputs that they come with.",
        "Show ten inputs with their labels, as the model gets them.",
        N04,
    ),
    "same_batch": Cause(
        "batches", "The model sees one batch again and again.", "Draw a new batch at every step."
    ),
    "one_channel": Cause(
        "model",
        "A softmax over one number is 1: loss and gradient are 0 whatever the model does.",
        "Use binary_cross_entropy_with_logits, or two channels.",
    ),
    "loss_shape": Cause(
        "loss",
        "The answers are held against one another's targets, so the mean answer is the best.",
        "Give both the same shape: squeeze the answers, or unsqueeze the targets.",
    ),
    "not_registered": Cause(
        "model",
        "These layers are never trained: the optimiser does not know them.",
        "Use nn.ModuleList or nn.ModuleDict.",
    ),
    "foreign_optimiser": Cause(
        "optimiser",
        "The optimiser moves weights of another model.",
        "Make the optimiser after the model has its last form and device.",
    ),
    "output_range": Cause(
        "model",
        "The last activation cuts off what would have to be answered.",
        "No activation after the last layer, or one whose range holds the targets.",
    ),
    "constant_output": Cause(
        "model",
        "Whatever tells the inputs apart is lost on the way to the answer.",
        "Print the spread over the examples after each layer; look where it becomes 0.",
        N02,
    ),
    "no_gradient": Cause(
        "model",
        "Nothing tells the weights where to go.",
        "Look for detach, item, numpy, argmax, no_grad or a clamp between model and loss.",
        N02,
    ),
    "no_step": Cause(
        "loop",
        "The optimiser never moves the weights by this loss's gradient.",
        "The order is: zero_grad, backward, step.",
    ),
    "rate_sign": Cause(
        "optimiser",
        "The schedule has run below zero; every step climbs.",
        "Count what the schedule counts: epochs or steps.",
        N05,
    ),
    "uphill": Cause(
        "loop", "The step maximises the loss.", "Look for a minus that is one too many."
    ),
    "rate_zero": Cause(
        "optimiser",
        "The weights do not move at all.",
        "Print the rate at each step; look at schedule and warm-up.",
    ),
    "softmax_twice": Cause(
        "model",
        "The loss squashes answers that are squashed already; it cannot come near 0.",
        "Take the softmax or sigmoid out of the model, or use the loss that takes probabilities.",
    ),
    "mixed_examples": Cause(
        "model",
        "Examples answer for one another: an axis is taken for another.",
        "Check each dim=, view, reshape and batch_first against the axes' meaning.",
    ),
    "stale_gradients": Cause(
        "loop",
        "Every step adds all earlier gradients, like momentum that never decays.",
        "Call optimizer.zero_grad() before each backward().",
    ),
    "eval_mode": Cause(
        "loop",
        "Dropout is off and BatchNorm uses statistics that are not updated.",
        "Call model.train() at the start of each epoch, after each validation.",
    ),
    "loss_wrong": Cause(
        "loss",
        "The loss is lowest where the answers are wrong, or is given what it does not expect.",
        "Compute it by hand for one right and one wrong answer.",
        N00,
    ),
    "sorted_batches": Cause(
        "batches",
        "Each batch holds one kind of example; the model learns the last and forgets the rest.",
        "shuffle=True, or shuffle the examples once.",
    ),
    "target_scale": Cause(
        "labels",
        "The targets lie so far from 0, or so far apart, that the way there takes all the steps.",
        "Standardise the targets by the training set's mean and spread.",
    ),
    "input_scale": Cause(
        "inputs",
        "Layers are drawn for inputs of spread 1 around 0; these are not.",
        "Standardise each feature by the training set's mean and spread.",
    ),
    "no_nonlinearity": Cause(
        "model",
        "Several layers without an activation between them are one linear layer.",
        "Put an activation after each layer but the last.",
    ),
    "initialisation": Cause(
        "model",
        "The first weights are too large, too small or equal; another draw learns.",
        "Leave the layers' own initialisation, or take Kaiming's for ReLU.",
        N02,
    ),
    "too_deep": Cause(
        "model",
        "What tells the inputs apart has died out before the last layer.",
        "Normalisation after each layer, or skip connections.",
        N02,
    ),
    "dead_units": Cause(
        "model",
        "Units that answer 0 to every input have no gradient, and stay so.",
        "A smaller rate from new weights; then another activation.",
        N02,
    ),
    "frozen": Cause(
        "model",
        "Weights that would have to learn are not allowed to.",
        "Set requires_grad on what should learn; freeze only what is trained already.",
    ),
    "missing_parameters": Cause(
        "optimiser",
        "Part of the model has a gradient, and no optimiser that uses it.",
        "Hand model.parameters() to the optimiser.",
    ),
    "weight_decay": Cause(
        "optimiser",
        "The decay pulls the weights to 0 faster than the loss can move them.",
        "Ten times less, or none, first.",
        N01,
    ),
    "penalty": Cause(
        "loss",
        "What is minimised is the size of the weights, before the error.",
        "Print the two summands apart; less weight on the penalty.",
        N01,
    ),
    "optimiser_settings": Cause(
        "optimiser",
        "A setting beside the rate (momentum, betas, epsilon) holds the run back.",
        "The optimiser's defaults first.",
        N05,
    ),
    "momentum": Cause(
        "optimiser",
        "The run coasts: each step is mostly the sum of old ones.",
        "0.9, as is usual, or less.",
        N05,
    ),
    "rate_high": Cause(
        "optimiser",
        "The steps are longer than the valley is wide.",
        "A tenth of the rate, from new weights.",
        N05,
    ),
    "rate_low": Cause(
        "optimiser",
        "The steps are right and too short to arrive.",
        "Ten times the rate; look at what the schedule has made of it.",
        N03,
    ),
    "clipping": Cause(
        "loop",
        "Every gradient is cut, so the rate is not what it says.",
        "Print the norm before the clip; clip above what is usual.",
        N05,
    ),
    "loop": Cause(
        "loop",
        "The plain loop with the same optimiser learns where this step does not.",
        "Write the step anew: zero_grad, loss, backward, step; then add one thing at a time.",
    ),
    "optimiser": Cause(
        "optimiser",
        "Model, loss and data can be learnt by heart; the run's own optimiser does not.",
        "Adam at 0.001 first; then rate, schedule and clipping one at a time.",
        N03,
    ),
    "dropout": Cause(
        "model",
        "So much is dropped that too little is left to learn from.",
        "Less dropout (0.1 to 0.5), none before the last layer.",
    ),
    "batchnorm": Cause(
        "model",
        "The statistics that eval() uses are not those of the data.",
        "Larger batches, GroupNorm, or a momentum that fits the number of steps.",
    ),
    "batch_too_small": Cause(
        "batches",
        "Each step follows the noise of a few examples.",
        "Larger batches, or a smaller rate.",
        N03,
    ),
    "batch_too_large": Cause(
        "batches",
        "Few steps for each look at the data.",
        "Smaller batches, or more epochs.",
        N00,
    ),
    "labels_shifted": Cause(
        "labels",
        "The answer stands in the input: the loss falls to 0 by copying.",
        "Compare the first inputs and targets by eye: shift one against the other.",
        N04,
    ),
    "capacity": Cause(
        "model",
        "Too little passes through its narrowest layer, however it is trained.",
        "Widen its narrowest layer; let nothing between input and answer be smaller than the "
        "number of classes.",
        N03,
    ),
    "model_or_loss": Cause(
        "model",
        "Neither the run's own step nor Adam learns a few examples by heart: optimiser and rate "
        "are not to blame.",
        "Learn two examples by heart, and take the model apart from the loss upwards.",
        N02,
    ),
    "number_on_screen": Cause(
        "display",
        "What is printed is not what is minimised: the run may be better, or worse, than it looks.",
        "Print the very tensor that backward() is called on, divided by what it sums over.",
        N00,
    ),
    "train_eval_gap": Cause(
        "display",
        "The model that is evaluated is not the one that is trained (dropout, BatchNorm).",
        "Compare the two modes on the same batch.",
        N00,
    ),
    "too_little_data": Cause(
        "labels",
        "The model knows its examples by heart, and nothing else.",
        "More data, augmentation, a smaller model; stop earlier.",
        N04,
    ),
}
