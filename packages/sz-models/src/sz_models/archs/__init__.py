"""Networks, one module each; the wrappers in ``sz_models.models`` feed them."""
