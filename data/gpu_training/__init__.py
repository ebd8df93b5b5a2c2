"""Training on a borrowed GPU: the parts of ``data/train_on_gpu.py``, one subject each."""
