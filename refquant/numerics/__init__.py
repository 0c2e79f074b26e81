"""The two arithmetics, fast and pinned, and the counter-based generator.

from refquant import numerics as nx
with nx.arithmetic("pinned", slices=3):
    y = nx.matmul(a, b)
"""

from refquant.numerics import counter as counter
from refquant.numerics.by_rows import mean_by_rows as mean_by_rows
from refquant.numerics.by_rows import range_by_rows as range_by_rows
from refquant.numerics.by_rows import sum_by_rows as sum_by_rows
from refquant.numerics.context import Arithmetic as Arithmetic
from refquant.numerics.context import arithmetic as arithmetic
from refquant.numerics.context import current as current
from refquant.numerics.operations import cos as cos
from refquant.numerics.operations import exp as exp
from refquant.numerics.operations import log as log
from refquant.numerics.operations import log2 as log2
from refquant.numerics.operations import log_softmax as log_softmax
from refquant.numerics.operations import matmul as matmul
from refquant.numerics.operations import mean as mean
from refquant.numerics.operations import multiplier as multiplier
from refquant.numerics.operations import power as power
from refquant.numerics.operations import self_product as self_product
from refquant.numerics.operations import sigmoid as sigmoid
from refquant.numerics.operations import softmax as softmax
from refquant.numerics.operations import sum as sum
from refquant.numerics.operations import tanh as tanh
from refquant.numerics.select import either as either
from refquant.numerics.select import masked as masked
