"""Models as ONNX and OpenVINO files: graphs, checked against the torch model before anything is written."""
