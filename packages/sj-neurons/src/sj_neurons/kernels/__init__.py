"""Fused kernels: all time steps of a neuron in one call, made from the step it is defined by.

The stages, as they follow each other:

    spec            neuron/*.py       the pure step `(x, v, ...) -> (spike, v, ...)`
    trace           symbols.py        stand-ins that record what is done to them
                    trace.py          neuron -> program, numbers, what torch evaluates before
                    graph.py          the program: a scalar graph with a text form
    differentiate   differentiate.py  program -> adjoint step
                    cut.py            what is kept per step for the adjoint step
                    plan.py           the three together: all that an emitter needs
    emit            emit.py           expressions as C
                    emit_cpp.py       loops for the CPU, with prelude.h
                    emit_cuda.py      kernels for CUDA, with cuda_numbers.h and cuda_loops.h
    compile         compile_cpp.py    compiler and cache; shipped.py: what the wheel brings
                    compile_cuda.py   CuPy
    run             select.py         which backend, which program
                    run.py            parameters and states of a call
                    stepwise.py       single steps, prepared once for a sequence
                    autograd.py       the differentiable operator
                    operators.py      the same for torch.compile and torch.export
                    layout.py         tensors as rows of neurons
                    cpp.py, cuda.py   launchers
                    interpret.py      the program by torch, for gradients of gradients
    with a norm     affine.py         program -> program that scales and shifts its input
                    batch_norm.py     the differentiable operator of both
                    channels_cpp.py   statistics over channels, with channels.h
                    channels_cuda.py

Nothing here is loaded before a neuron asks for another backend than `'torch'`.
"""
