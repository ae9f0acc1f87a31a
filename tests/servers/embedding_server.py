"""Embeddings of texts by a BERT model in numpy alone, with the options of Text Embeddings Inference's text-embeddings-router."""

import argparse
import base64
import json
import math
import os
import pathlib

import numpy
import safetensors.numpy
import tokenizers

import serving


def arguments():
    parser = argparse.ArgumentParser(prog="text-embeddings-router", description=__doc__, allow_abbrev=False)
    parser.add_argument("--model-id", required=True, type=pathlib.Path, help="a directory; nothing is downloaded")
    parser.add_argument("--hostname", default="0.0.0.0")
    parser.add_argument("--port", type=int, default=3000)
    parser.add_argument("--served-model-name")
    parser.add_argument("--dtype", choices=["float32"], default="float32")
    parser.add_argument("--pooling", choices=["cls", "mean"])
    parser.add_argument("--max-client-batch-size", type=int, default=32)
    parser.add_argument("--auto-truncate", action="store_true")
    return parser.parse_args()


class Model:
    """A BERT of the layout of Hugging Face. Each text goes through it alone, so that nothing has to be padded or masked."""

    def __init__(self, options):
        directory = options.model_id
        config = json.loads((directory / "config.json").read_text())
        self.heads, self.layers = config["num_attention_heads"], config["num_hidden_layers"]
        self.epsilon, self.longest = config["layer_norm_eps"], config["max_position_embeddings"]
        self.pooling = options.pooling or pooling_of(directory)
        self.tokenizer = tokenizers.Tokenizer.from_file(str(directory / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()
        if options.auto_truncate:
            self.tokenizer.enable_truncation(self.longest)
        self.tensors = safetensors.numpy.load((directory / "model.safetensors").read_bytes())

    def tokens(self, text):
        ids = self.tokenizer.encode(text).ids
        if len(ids) > self.longest:
            raise serving.Refusal(413, f"{len(ids)} tokens are more than {self.longest}")
        return ids

    def embed(self, ids):
        """The vector of a text, of length 1."""
        hidden = self.embeddings(ids)
        for layer in range(self.layers):
            name = f"encoder.layer.{layer}"
            attended = self.linear(f"{name}.attention.output.dense", self.attention(f"{name}.attention.self", hidden))
            hidden = self.norm(f"{name}.attention.output.LayerNorm", hidden + attended)
            inner = gelu(self.linear(f"{name}.intermediate.dense", hidden))
            hidden = self.norm(f"{name}.output.LayerNorm", hidden + self.linear(f"{name}.output.dense", inner))
        vector = hidden[0] if self.pooling == "cls" else hidden.mean(axis=0)
        return vector / numpy.linalg.norm(vector)

    def embeddings(self, ids):
        word, position, kind = (
            self.tensors[f"embeddings.{name}_embeddings.weight"] for name in ("word", "position", "token_type")
        )
        return self.norm("embeddings.LayerNorm", word[ids] + position[: len(ids)] + kind[0])

    def attention(self, name, hidden):
        query, key, value = (
            self.linear(f"{name}.{part}", hidden).reshape(len(hidden), self.heads, -1).swapaxes(0, 1)
            for part in ("query", "key", "value")
        )
        scores = query @ key.swapaxes(1, 2) / math.sqrt(query.shape[-1])
        weights = numpy.exp(scores - scores.max(axis=-1, keepdims=True))
        weights /= weights.sum(axis=-1, keepdims=True)
        return (weights @ value).swapaxes(0, 1).reshape(hidden.shape)

    def linear(self, name, x):
        return x @ self.tensors[f"{name}.weight"].T + self.tensors[f"{name}.bias"]

    def norm(self, name, x):
        centred = x - x.mean(axis=-1, keepdims=True)
        scale = numpy.sqrt(x.var(axis=-1, keepdims=True) + self.epsilon)
        return centred / scale * self.tensors[f"{name}.weight"] + self.tensors[f"{name}.bias"]


def gelu(x):
    # Hendrycks and Gimpel's approximation, which needs no error function.
    return 0.5 * x * (1 + numpy.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def pooling_of(directory):
    """How the model's own package makes one vector of many (sentence-transformers)."""
    config = json.loads((directory / "1_Pooling/config.json").read_text())
    return "cls" if config["pooling_mode_cls_token"] else "mean"


def texts(asked, name, limit):
    given = asked.get(name)
    given = [given] if isinstance(given, str) else given
    if not isinstance(given, list) or not given or not all(isinstance(text, str) for text in given):
        raise serving.Refusal(422, f"`{name}` is neither a text nor a list of texts")
    if len(given) > limit:
        raise serving.Refusal(422, f"{len(given)} texts are more than {limit}")
    return given


def in_base64(vector):
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()


def routes(options):
    name = options.served_model_name or str(options.model_id)

    def embed(model, body, _):
        given = texts(serving.json_body(body), "inputs", options.max_client_batch_size)
        return [model.embed(model.tokens(text)).tolist() for text in given]

    def openai(model, body, _):
        asked = serving.json_body(body)
        tokens = [model.tokens(text) for text in texts(asked, "input", options.max_client_batch_size)]
        encode = in_base64 if asked.get("encoding_format") == "base64" else numpy.ndarray.tolist
        data = [
            {"object": "embedding", "index": index, "embedding": encode(model.embed(ids))}
            for index, ids in enumerate(tokens)
        ]
        count = sum(map(len, tokens))
        return {"object": "list", "model": name, "data": data, "usage": {"prompt_tokens": count, "total_tokens": count}}

    return {"/embed": embed, "/v1/embeddings": openai}


def main():
    options = arguments()
    serving.serve(options.hostname, options.port, os.environ.get("API_KEY"), lambda: Model(options), routes(options))


if __name__ == "__main__":
    main()
