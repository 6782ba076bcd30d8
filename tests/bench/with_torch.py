"""PyTorch: one run after the other, as it is mostly written, and stacks of runs as batched tensors.

The stacked training is written by hand, forward and backward, in the layout of lrsweep, since that was fastest here:
at width 64 and 100 runs 12 ms per run, with the batch first 13 to 17, with autograd 21.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import pairwise, product
from typing import Any

import numpy as np
from case import CHECKED, FEW_RATES, RATES, Case, Measured, orders, weights

from lrsweep.vocabulary import Data

STACKED_SEEDS = (1, 5)
"""Seeds of a stack, each with all rates; the faster counts."""


def tensors(data: Data) -> tuple[Any, Any, Any, Any]:
    """x and y to train on, x and y to validate on."""
    import torch

    return tuple(torch.from_numpy(array) for array in (data.x_train, data.y_train, data.x_val, data.y_val))


def one_by_one(case: Case, data: Data, seeds: Sequence[int], threads: int = 1) -> Measured:
    """Runs one after the other."""
    import torch

    torch.set_num_threads(threads)
    jobs = list(product(FEW_RATES, seeds))
    train_one(case, data, 1e-3, 0, epochs=1)
    start = time.perf_counter()
    accuracies = {job: train_one(case, data, *job, case.epochs) for job in jobs}
    seconds = time.perf_counter() - start
    checked = [accuracy for (rate, _), accuracy in accuracies.items() if rate == RATES[CHECKED]]
    return {"one by one": 1e3 * seconds / len(jobs)}, float(np.mean(checked))


def train_one(case: Case, data: Data, rate: float, seed: int, epochs: int) -> float:
    """A run; its last validation accuracy."""
    import torch

    x, y, x_val, y_val = tensors(data)
    model = network(case.units(data), seed)
    if case.optimizer == "adam":
        optimizer: Any = torch.optim.Adam(model.parameters(), lr=rate, fused=True)  # a quarter faster a run; SGD slower
    else:
        optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    loss_of, accuracy = torch.nn.functional.cross_entropy, torch.tensor(0.0)
    for order in torch.from_numpy(orders(len(x), epochs, seed)):
        total = torch.tensor(0.0)
        for rows in order.split(case.batch):
            loss = loss_of(model(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(rows)
        with torch.no_grad():
            logits = model(x_val)
            loss_of(logits, y_val)
            accuracy = (logits.argmax(1) == y_val).float().mean()
    return float(accuracy)


def network(units: Sequence[int], seed: int) -> Any:
    """A multilayer perceptron with a seed's initial weights."""
    import torch

    layers: list[Any] = []
    for initial in weights(units, seed):
        layers += [torch.nn.Linear(*initial.shape[::-1]), torch.nn.ReLU()]
        layers[-2].weight.data = torch.from_numpy(initial)
        layers[-2].bias.data.zero_()
    return torch.nn.Sequential(*layers[:-1])


def stacked(case: Case, data: Data, seeds: Sequence[int], threads: int) -> Measured:
    """Stacks of all rates and some seeds; `seeds` gives the first."""
    import torch

    torch.set_num_threads(threads)
    best, reached = np.inf, []
    for n_seeds in STACKED_SEEDS:
        chosen = range(seeds[0], seeds[0] + n_seeds)
        Stacked(case, data, chosen, RATES).train(1)
        start = time.perf_counter()
        accuracy = Stacked(case, data, chosen, RATES).train(case.epochs)
        best = min(best, (time.perf_counter() - start) / len(accuracy))
        reached = accuracy[CHECKED :: len(RATES)]
    return {"stacked": 1e3 * best}, float(np.mean(reached))


class Stacked:
    """R runs, every rate of every seed, as batched tensors: signals (R, units, B) and one buffer (R, P) of weights."""

    def __init__(self, case: Case, data: Data, seeds: Sequence[int], rates: Sequence[float]) -> None:
        import torch

        self.torch, self.case, self.seeds, self.each = torch, case, seeds, len(rates)
        self.x, self.y, x_val, self.y_val = tensors(data)
        self.x_val = x_val.T.contiguous()
        self.units = case.units(data)
        flat = np.stack([np.concatenate([self.flat(layer) for layer in weights(self.units, seed)]) for seed in seeds])
        self.params = torch.from_numpy(flat.repeat(self.each, axis=0))
        self.rates = torch.tensor(rates).repeat(len(seeds))[:, None]
        self.grads, self.scratch = torch.zeros_like(self.params), torch.zeros_like(self.params)
        self.state = [torch.zeros_like(self.params) for _ in range(2 if case.optimizer == "adam" else 1)]
        self.weights, self.slots = list(self.views(self.params)), list(self.views(self.grads))
        self.steps = 0

    @staticmethod
    def flat(layer: Any) -> Any:
        """A layer's weights and its biases, zero, in one row."""
        return np.concatenate([layer.ravel(), np.zeros(len(layer), np.float32)])

    def views(self, flat: Any) -> Iterator[tuple[Any, Any]]:
        """Weights (R, out, in) and biases (R, out, 1) of each layer in a buffer (R, P)."""
        start = 0
        for ins, outs in pairwise(self.units):
            end = start + outs * ins
            yield flat[:, start:end].view(-1, outs, ins), flat[:, end : end + outs].view(-1, outs, 1)
            start = end + outs

    def train(self, epochs: int) -> Any:
        """Trains, and returns the last validation accuracies, (R,)."""
        torch, accuracy = self.torch, None
        drawn = torch.from_numpy(np.stack([orders(len(self.x), epochs, seed) for seed in self.seeds]))
        with torch.inference_mode():
            for order in drawn.unbind(1):
                total = torch.zeros(len(self.params))
                for rows in order.split(self.case.batch, dim=1):
                    total += self.gradient(rows)
                    self.update()
                total /= len(self.x)
                _, accuracy = self.validate()
        return accuracy.numpy()

    def forward(self, x: Any) -> list[Any]:
        """The signals (R, units, B) of every layer, x (R, D, B) and logits included."""
        signals = [x]
        for layer, bias in self.weights[:-1]:
            signals.append(self.torch.baddbmm(bias, layer, signals[-1]).relu_())
        layer, bias = self.weights[-1]
        return [*signals, self.torch.baddbmm(bias, layer, signals[-1])]

    def gradient(self, rows: Any) -> Any:
        """The summed losses (R,) of the rows (S, B); their mean's gradient goes into `grads`."""
        torch = self.torch
        x = self.x[rows].repeat_interleave(self.each, 0)
        labels = self.y[rows].repeat_interleave(self.each, 0)[:, None]
        *signals, logits = self.forward(x.transpose(1, 2))
        delta = torch.log_softmax(logits, 1)
        loss = -delta.gather(1, labels).sum((1, 2))
        delta.exp_().scatter_add_(1, labels, torch.full(labels.shape, -1.0))
        delta /= rows.shape[1]
        for i in reversed(range(len(signals))):
            weight_slot, bias_slot = self.slots[i]
            torch.bmm(delta, signals[i].transpose(1, 2), out=weight_slot)
            torch.sum(delta, 2, keepdim=True, out=bias_slot)
            if i:
                delta = torch.bmm(self.weights[i][0].transpose(1, 2), delta)
                delta *= signals[i] > 0
        return loss

    def update(self) -> None:
        """A step of momentum or Adam on the whole buffer."""
        self.steps += 1
        if self.case.optimizer == "adam":
            mean, squares = self.state
            mean.mul_(0.9).add_(self.grads, alpha=0.1)
            squares.mul_(0.999).addcmul_(self.grads, self.grads, value=0.001)
            self.torch.sqrt(squares, out=self.scratch)
            self.scratch.mul_((1 - 0.999**self.steps) ** -0.5).add_(1e-8)
            self.torch.div(mean, self.scratch, out=self.scratch)
            self.params.addcmul_(self.rates / (1 - 0.9**self.steps), self.scratch, value=-1)
        else:
            (velocity,) = self.state
            velocity.mul_(0.9).add_(self.grads)
            self.params.addcmul_(self.rates, velocity, value=-1)

    def validate(self) -> tuple[Any, Any]:
        """Validation losses and accuracies, (R,) each."""
        logits = self.forward(self.x_val.expand(len(self.params), -1, -1))[-1]
        labels = self.y_val.expand(len(logits), 1, -1)
        loss = -self.torch.log_softmax(logits, 1).gather(1, labels).mean((1, 2))
        return loss, (logits.argmax(1) == self.y_val).float().mean(1)
