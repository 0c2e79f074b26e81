"""Losses in PyTorch."""

from torch.nn import functional as F

from validation.backends.torch_tools import Given, Tensor


def shared(x: Tensor, a: Given) -> Tensor:
    """Sum over the channels, mean over everything else."""
    return x.sum(a["channel_axis"]).mean()


def lp_rec_loss(x: Given, a: Given) -> Given:
    """|z - t|^p."""
    powers = (x["z"] - x["t"]).abs() ** a["p"]
    return {"loss": shared(powers, a) if a["reduction"] == "channels" else powers.mean()}


def fisher_full(x: Given, a: Given) -> Given:
    """A matrix of rank one for each sample."""
    weighted = (x["z"] - x["t"]).abs() * x["g"]
    sums = weighted.flatten(1).sum(1)
    return {"loss": (weighted.flatten(1) * sums[:, None]).mean() / 100}


def kl_logits(x: Given, a: Given) -> Given:
    """F.kl_div takes logarithms of what it compares."""
    log_z, log_t = (F.log_softmax(x[k] / a["temperature"], 1) for k in ("z", "t"))
    return {"loss": F.kl_div(log_z, log_t, reduction="batchmean", log_target=True)}


FORWARD = {
    "lp_rec_loss": lp_rec_loss,
    "fisher_diag": lambda x, a: {"loss": shared((x["z"] - x["t"]) ** 2 * x["g"] ** 2, a)},
    "fisher_full": fisher_full,
    "kl_logits": kl_logits,
}
