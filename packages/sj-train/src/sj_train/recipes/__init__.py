"""Ready-made runs, each a command: ``python -m sj_train.recipes.<name> -h``.

They need the extra ``recipes``; ``train_reconstruction`` needs ``reconstruction``.
"""
