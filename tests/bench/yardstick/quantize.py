"""The yardstick: what Python's onnxruntime.quantization makes of a model (QDQ, per channel, min-max, U8 activations).

    python quantize.py MODEL.onnx PICTURES.u8 OUT.onnx [--s8] [--reduce-range]

PICTURES.u8 holds the calibration pictures one after another, as the model's u8 input takes them (see
host/quantize/examples/yardstick.rs, which writes both and compares the results). Needs onnxruntime and onnx.
"""
import sys

import numpy
import onnx
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process


class Pictures(CalibrationDataReader):
    def __init__(self, model, path):
        (entry,) = onnx.load(model).graph.input
        self.name = entry.name
        sizes = [d.dim_value for d in entry.type.tensor_type.shape.dim][1:]
        self.left = iter(numpy.fromfile(path, numpy.uint8).reshape(-1, 1, *sizes))

    def get_next(self):
        picture = next(self.left, None)
        return None if picture is None else {self.name: picture}


model, pictures, out = sys.argv[1:4]
signed = "--s8" in sys.argv
if onnx.load(model).opset_import[0].version < 13:
    onnx.save(onnx.version_converter.convert_version(onnx.load(model), 13), out + ".13")
    model = out + ".13"
quant_pre_process(model, out + ".prepared", skip_symbolic_shape=True)
quantize_static(
    out + ".prepared",
    out,
    Pictures(model, pictures),
    quant_format=QuantFormat.QDQ,
    per_channel=True,
    reduce_range="--reduce-range" in sys.argv,
    activation_type=QuantType.QInt8 if signed else QuantType.QUInt8,
    weight_type=QuantType.QInt8,
    calibrate_method=CalibrationMethod.MinMax,
    extra_options={"ActivationSymmetric": signed, "WeightSymmetric": True},
)
