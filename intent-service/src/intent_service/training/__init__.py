"""Makes the model of intent-service from the phrases in `data/`."""

import os

# Threads of the linear algebra library spin on these small matrices: with one the training takes a quarter of the CPU.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
