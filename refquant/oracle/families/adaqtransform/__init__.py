"""AdaQTransform: a layer with a transformed output, its gradients, folding and closed forms."""
