"""Settings, watches and problems that the tests of the Gram solver share."""

from dataclasses import replace

import numpy as np

from oracle_tests.reconstruct_cases import ALPHA, S_X, adaround
from refquant.components import XiEta
from refquant.methods import Gram, Learn, Term
from refquant.reconstruct.gram_layer import Problem, gram_layer
from refquant.reconstruct.gram_moments import layer_quadratic

AT_LAYERS = (Term(at="layers"),)


def gram_setting(name="test-gram", **phase):
    """AdaRound in front of the activation function, solved by its quadratic."""
    return adaround(**{"terms": AT_LAYERS, "solver": "gram", **phase})


def joint(**phase):
    """alpha, s_x, xi and eta, with the quantizers in front of the products."""
    learn = (ALPHA, S_X, ("xi", Learn(lr=1e-3)), ("eta", Learn(lr=1e-3)))
    first = {"learn": learn, "gram": Gram(start="plane"), "penalty": None, **phase}
    phases = (replace(gram_setting().phases[0], **first),)
    return replace(gram_setting(), placement="input", output=XiEta(), phases=phases)


def problem_of(task, own):
    layer, form = gram_layer(task, own), layer_quadratic(task, own)
    return Problem(layer, form, np.ones(layer.step.shape))


class Losses(list):
    """A watch that keeps the loss of every step."""

    def due(self, step):
        return True

    def __call__(self, step, found, state):
        self.append(found.loss)
