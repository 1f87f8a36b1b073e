"""ONNX files as a user might bring them."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper


def logistic(coefficients, intercept=0.0, *, element=TensorProto.FLOAT, columns=1, name="probabilities"):
    """A logistic regression as ONNX bytes: one probability per row, or with columns=2 that of good and that of fraud."""
    k = len(coefficients)
    dtype = helper.tensor_dtype_to_np_dtype(element)
    constants = {
        "w": np.array(coefficients, dtype).reshape(k, 1),
        "b": np.array([intercept], dtype),
        "one": np.array([1.0], dtype),
    }
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["product"]),
        helper.make_node("Add", ["product", "b"], ["margin"]),
        helper.make_node("Sigmoid", ["margin"], ["fraud" if columns == 2 else name]),
    ]
    if columns == 2:
        nodes += [
            helper.make_node("Sub", ["one", "fraud"], ["good"]),
            helper.make_node("Concat", ["good", "fraud"], [name], axis=1),
        ]
    graph = helper.make_graph(
        nodes,
        "logistic",
        [helper.make_tensor_value_info("x", element, [None, k])],
        [helper.make_tensor_value_info(name, element, [None, columns])],
        [numpy_helper.from_array(value, key) for key, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()
