"""The only room of the explorer that imports torch and transformers."""

import logging

# While they are imported nobody listens yet, and what they miss is none of the user's concern:
# kernels for other devices, names that torch will change.
for _name in ("torchao", "bitsandbytes", "torch.utils._pytree"):
    logging.getLogger(_name).setLevel(logging.ERROR)
