"""The article's scoring service, rebuilt in its way: Flask's development server, and keras predict() twice a call.

The article asks the model once for the class and once for the probability that it logs.
"""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from flask import Flask, jsonify, request
from flask.typing import ResponseReturnValue


def main(port: int, model_file: str) -> None:
    """Serve POST /score until terminated."""
    model = keras.saving.load_model(model_file, compile=False)
    app = Flask(__name__)

    @app.get("/")
    def alive() -> ResponseReturnValue:
        return jsonify({"alive": True})

    @app.post("/score")
    def score() -> ResponseReturnValue:
        row = np.array([request.get_json()["params"]], dtype=np.float32)
        fault = int(model.predict(row, verbose=0)[0][0] > 0.5)
        probability = float(model.predict(row, verbose=0)[0][0])
        return jsonify({"fault": str(fault), "probability": probability})

    app.run("127.0.0.1", port)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
