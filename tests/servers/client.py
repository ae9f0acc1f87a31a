"""What a user's program does with a service: the `openai` package, told by OPENAI_BASE_URL and OPENAI_API_KEY alone.

Prints what came of it as JSON. An answer with an error is {"status": CODE}.
"""

import argparse
import json
import math

import openai


def chat(client, options):
    answer = client.chat.completions.create(
        model=options.model, messages=[{"role": "user", "content": options.text}], max_tokens=40, temperature=0
    )
    choice = answer.choices[0]
    return {"text": choice.message.content, "tokens": answer.usage.completion_tokens, "finish": choice.finish_reason}


def complete(client, options):
    answer = client.completions.create(model=options.model, prompt=options.text, max_tokens=8, temperature=0)
    return {"text": answer.choices[0].text}


def stream(client, options):
    pieces = client.chat.completions.create(
        model=options.model, messages=[{"role": "user", "content": options.text}], max_tokens=40, stream=True
    )
    texts = (choice.delta.content for piece in pieces for choice in piece.choices)
    return {"pieces": [text for text in texts if text]}


def models(client, _):
    return {"models": [model.id for model in client.models.list()]}


def similarity(client, options):
    """The cosine of the first text with each of the others."""
    answer = client.embeddings.create(model=options.model, input=[options.text, *options.others])
    first, *others = [item.embedding for item in answer.data]
    return {"dimensions": len(first), "cosines": [cosine(first, other) for other in others]}


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b)) / math.hypot(*a) / math.hypot(*b)


def transcribe(client, options):
    with open(options.text, "rb") as audio:
        return {"text": client.audio.transcriptions.create(model=options.model, file=audio).text}


DEEDS = {deed.__name__: deed for deed in (chat, complete, stream, models, similarity, transcribe)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("deed", choices=DEEDS)
    parser.add_argument("--model", default="default")
    parser.add_argument("text", nargs="?")
    parser.add_argument("others", nargs="*")
    options = parser.parse_args()
    # What the server says is told, not tried again.
    client = openai.OpenAI(max_retries=0, timeout=60)
    try:
        print(json.dumps(DEEDS[options.deed](client, options)))
    except openai.APIStatusError as error:
        print(json.dumps({"status": error.status_code}))


if __name__ == "__main__":
    main()
